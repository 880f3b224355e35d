"""The package as it is installed: what importing it takes, and that no list is written twice."""

import ast
import pathlib
import subprocess
import sys

import pytest

import pixloss
from pixloss import _library as L
from pixloss import _terms
from conftest import ROOT

pytestmark = pytest.mark.short
PACKAGE = pathlib.Path(pixloss.__file__).parent


def run(code: str) -> str:
    """In a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    ).stdout


def test_importing_takes_no_framework_and_no_library():
    loaded = run(
        "import sys, pixloss\n"
        "print([name for name in ('numpy', 'torch', 'cupy', 'PIL', 'pixloss._library') if name in "
        "sys.modules])\n"
        "print('libpixloss' in open('/proc/self/maps').read())"
    )
    assert loaded == "[]\nFalse\n"


def test_evaluating_takes_no_framework():
    said = run(
        "import sys, array, pixloss\n"
        "a = memoryview(array.array('f', [0.0] * 400)).cast('B').cast('f', (20, 20))\n"
        "b = memoryview(array.array('f', [0.5] * 400)).cast('B').cast('f', (20, 20))\n"
        "result = pixloss.evaluate('mse', a, b, gradient=True)\n"
        "print(result.value, result.gradient.shape, round(result.gradient[3, 4] * 400, 5), "
        "'numpy' in sys.modules)"
    )
    assert said == "0.25 (20, 20) -1.0 False\n"


def test_the_sources_are_of_python_3_9():
    for path in PACKAGE.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 9))


def test_files_are_short():
    for path in [*PACKAGE.rglob("*.py"), *pathlib.Path(__file__).parent.glob("*.py")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) < 500, path


def test_the_version_is_that_of_the_library():
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert (
        f"project(pixloss VERSION {pixloss.version()} " in cmake
        and pixloss.__version__ == pixloss.version()
    )


def test_no_term_or_field_is_named_in_the_binding():
    """Terms, presets and fields come from the library: in the modules that bind it none is
    written."""
    fields = {field for kind in _terms.KINDS.values() for field in kind.fields}
    # Words that arguments and the operators' struct have too
    common = {
        "beta",
        "border",
        "window",
        "sigma",
        "preset",
        "weights",
        "layers",
        "reduction",
        "data_range",
        "net",
        "neighbours",
        "penalty",
    }
    names = ({*_terms.KINDS, *_terms.PRESETS} | fields) - common
    for name in (
        "_library.py",
        "_loss.py",
        "_terms.py",
        "_views.py",
        "_evaluate.py",
        "info.py",
        "torch/_functions.py",
        "torch/_module.py",
        "torch/_run.py",
        "torch/_eager.py",
        "torch/_operator.py",
        "torch/_pixels.py",
    ):
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        found = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        # Docstrings, the map that penalties name, a default
        assert found & names <= {"psnr", "pixel", "ssim"}, name


def test_structs_are_laid_out_as_the_library_says():
    for struct in (L.Device, L.Tensor, L.Args, L.Term, L.Layer, L.Filter, L.FieldInfo):
        assert L._struct_size(struct.__name__.encode()) > 0
    assert L.Tensor.size.size == L.Tensor.stride.size == 40
    assert L.Args.struct_size.offset == 0 and L.Args.feature_map.size == 8


def test_every_preset_of_every_term_parses():
    tried = 0
    for preset, takers in _terms.PRESETS.items():
        for name in takers:
            pixloss.evaluate(_terms.term(name, preset=preset), *[_image(200) for _ in range(2)])
            tried += 1
    assert tried >= 40


def _image(size: int):
    return memoryview(bytearray(range(256)) * (size * size // 256 + 1))[: size * size].cast(
        "B", (size, size)
    )


def test_errors_are_of_their_built_in_kinds():
    for code, builtin in (
        (lambda: pixloss.evaluate("ssi", _image(16), _image(16)), ValueError),
        (lambda: pixloss.evaluate("enl", _image(16), _image(16)), NotImplementedError),
        (lambda: pixloss.compare("/nowhere.png", "/nowhere.png"), OSError),
    ):
        with pytest.raises(builtin) as caught:
            code()
        assert isinstance(caught.value, pixloss.Error)


def test_documentation():
    import pixloss.operators

    for public in (
        *(getattr(pixloss, name) for name in pixloss.__all__ if name != "operators"),
        *(getattr(pixloss.operators, name) for name in pixloss.operators.__all__),
    ):
        assert public.__doc__, public
    assert (PACKAGE / "py.typed").exists()
