"""Small faults in C, C++ and CUDA sources, for mutate.py. Standard library only.

A tokenizer passes over comments, strings and preprocessor lines; a scan divides the rest into statements. Both
rely on the layout that clang-format makes: a binary operator has a space on both sides, a pointer's star and a
template's angle bracket do not, and a block's brace follows a space. A fault that this misjudges does not compile,
which costs little.
"""
import bisect
import random
import re
from typing import NamedTuple

KINDS = ("arithmetic", "comparison", "logical", "constant", "index", "assignment", "statement", "barrier", "wait",
         "arguments")
OPERATORS = {
    "arithmetic": {"+": "-*", "-": "+*", "*": "/+", "/": "*-", "%": "/"},
    "comparison": {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"),
                   "==": ("!=",), "!=": ("==",)},
    "logical": {"&&": ("||",), "||": ("&&",)},
    "assignment": {"+=": ("-=", "="), "-=": ("+=", "="), "*=": ("/=", "="), "/=": ("*=", "="),
                   "|=": ("&=", "="), "&=": ("|=", "=")},
}
BARRIER = re.compile(r"__syncthreads\w*|__syncwarp|__threadfence\w*|\w*barrier\w*")
WAIT = re.compile(r"__pipeline_\w+|\w*cp_async\w*|cuda\w+Synchronize|cudaStreamWait\w+|cudaEventRecord\w*"
                  r"|stream_wait|stream_end|_mm_sfence|pthread_\w*lock|pthread_once")
# Types of parameters, by function, of those that the source does not define. A product's factors differ here, as
# to swap them is no fault.
PARAMETERS = {"fma": ["factor", "double", "double"], "fmaf": ["factor", "float", "float"], "pow": ["double"] * 2,
              "PXLI_QUOTIENT": ["real"] * 2}

TOKEN = re.compile(r"""
    (?P<skip>//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<number>0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?[uUlLfF]*|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[uUlLfF]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<operator><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|[<>=!+\-*/%&|^]=|&&|\|\||::|[^\s\w])
""", re.X | re.S | re.M)
CONTROL = {"if", "for", "while", "switch"}
JUMPS = {"return", "break", "continue"}
# What begins with one of these is declared, not computed, and holds no fault.
DECLARES = {"using", "typedef", "extern", "static_assert", "_Static_assert", "friend", "goto"}
QUALIFIERS = {"alignas", "_Alignas", "__attribute__", "__launch_bounds__", "sizeof", "decltype", "__typeof__"}


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class Fault(NamedTuple):
    file: str
    line: int
    kind: str
    start: int  # characters [start, end) of the file become `text`
    end: int
    text: str

    def apply(self, source):
        return source[:self.start] + self.text + source[self.end:]

    def lines(self, source):
        """The lines that the fault touches, before and after."""
        low, high = source.rfind("\n", 0, self.start) + 1, source.find("\n", self.end)
        high = len(source) if high < 0 else high
        return source[low:high], source[low:self.start] + self.text + source[self.end:high]


def tokenize(source):
    tokens = [Token(match.lastgroup, match.group(), *match.span()) for match in TOKEN.finditer(source)]
    return [token for token in tokens if token.kind != "skip"]


def other_number(text):
    """A number of the same type: integers, 0.0 and 1.0 are one more, other fractions half as much again."""
    hexadecimal = text.lower().startswith("0x")
    integer = hexadecimal and "p" not in text.lower()
    suffix = re.search("[uUlL]*$" if integer else "[uUlLfF]*$", text).group()
    digits = text[:len(text) - len(suffix)]
    if re.fullmatch(r"\d+", digits):
        return f"{int(digits, 8 if re.fullmatch('0[0-7]+', digits) else 10) + 1}{suffix}"
    if integer:
        return f"{int(digits, 16) + 1:#x}{suffix}"
    value = float.fromhex(digits) if hexadecimal else float(digits)
    return f"{value + 1 if value in (0, 1) else value * 1.5!r}{suffix}"


def read_parameters(sources):
    """Types of parameters by function, from prototypes and definitions; none for a name that has several."""
    found = {name: {tuple(types)} for name, types in PARAMETERS.items()}
    for source in sources:
        for name, text in re.findall(r"\w[\w>]*[ ][*&]*(\w+)\(([^()]+)\)[^;{}=]*[;{]", source):
            types = [re.sub(r"\s+", " ", re.sub(r"\w+\s*$", "", parameter)).strip() for parameter in text.split(",")]
            if all(types):
                found.setdefault(name, set()).add(tuple(types))
    return {name: types.pop() for name, types in found.items() if len(types) == 1}


class Scanner:
    """The faults of one file: `faults`, lists by kind. `lines` counts its lines of code."""

    def __init__(self, file, source, parameters):
        self.file, self.source, self.tokens, self.parameters = file, source, tokenize(source), parameters
        self.breaks = [match.start() for match in re.finditer("\n", source)]
        self.lines = len({self.line_of(token.start) for token in self.tokens})
        self.partner = self.match_brackets()
        self.closed = set()  # numbers of the tokens that hold no fault
        self.steps = set()  # numbers of the tokens in a for's header: to change its step is an endless loop
        self.faults = {kind: [] for kind in KINDS}
        self.scan_statements()
        self.close_qualifiers()
        for i, token in enumerate(self.tokens):
            if i not in self.closed:
                self.scan_token(i, token)

    def line_of(self, position):
        return bisect.bisect_left(self.breaks, position) + 1

    def add(self, kind, start, end, *texts):
        """A place of a kind: one fault for each text."""
        faults = [Fault(self.file, self.line_of(start), kind, start, end, text) for text in texts]
        self.faults[kind].append(faults)

    def text(self, i):
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def match_brackets(self):
        partner, opened = {}, []
        for i, token in enumerate(self.tokens):
            if token.text in ("(", "[", "{"):
                opened.append(i)
            elif token.text in (")", "]", "}") and opened:
                partner[opened.pop()] = i
        return partner

    def spaced(self, i):
        """Whether a token has a space or a line's end on both sides."""
        start, end = self.tokens[i][2:]
        return self.source[start - 1:start].isspace() and self.source[end:end + 1].isspace()

    # ---- Statements

    def opens_block(self, i):
        """Whether the brace is a block's: an initializer's follows its type, an operator or a comma."""
        before = self.tokens[i].start - 1
        spaced = self.source[before:before + 1].isspace()
        return spaced and not re.fullmatch(r"[=,({?:]|return|\+|&&|\|\|", self.text(i - 1))

    def scan_statements(self):
        i, guarded = 0, False  # guarded: the statement is an if's
        while i < len(self.tokens):
            text, following = self.text(i), self.text(i + 1)
            was_guarded, guarded = guarded, False
            if text in ("{", "}", ";", "else", "do"):
                i += 1
            elif text in ("case", "default", "public", "private", "protected"):
                i = next((k for k in range(i, len(self.tokens)) if self.text(k) == ":"), i) + 1
            elif text in CONTROL:
                i, guarded = self.scan_control(i)
            elif following in CONTROL and self.tokens[i].kind == "name":  # a macro such as UNROLL
                i += 1
            elif text == "_Pragma":
                i = self.partner.get(i + 1, i) + 1
            else:
                end = self.statement_end(i)
                self.scan_statement(i, end, was_guarded)
                i = end + 1

    def scan_control(self, i):
        constant = self.text(i + 1) == "constexpr"
        opening = i + 2 if constant else i + 1
        closing = self.partner.get(opening, opening)
        if self.text(i) == "for":
            self.steps.update(range(opening, closing))
        if self.text(i) in ("if", "while") and not constant and closing > opening + 1:
            start, end = self.tokens[opening].end, self.tokens[closing].start
            self.add("logical", start, end, f"!({self.source[start:end]})")
        return closing + 1, self.text(i) == "if"

    def statement_end(self, i):
        """The semicolon, or the brace of a block, that ends the statement."""
        while i < len(self.tokens):
            text = self.text(i)
            if text in (";", "}") or text == "{" and self.opens_block(i):
                return i
            i = self.partner.get(i, i) + 1
        return i - 1

    def scan_statement(self, first, end, guarded):
        if self.text(first) in DECLARES or self.text(end) == "{":
            self.closed.update(range(first, end))
        elif self.text(end) != ";":
            return  # enumerators
        elif self.text(first) in JUMPS:
            if guarded:
                self.add("statement", self.tokens[first].start, self.tokens[end].end, "{}")
        elif self.is_declaration(first):
            self.close_declarators(first, end)
        else:
            self.scan_parts(first, end)

    def is_declaration(self, i):
        """Whether a statement begins with a type and a name: `T a`, `T *a`, `T<N> &a`."""
        if self.tokens[i].kind != "name":
            return False
        while self.text(i + 1) == "::":
            i += 2
        i += 1
        if self.text(i) == "<" and not self.spaced(i):
            while self.text(i) not in (">", ">>", ";") and i < len(self.tokens):
                i += 1
            i += 1
        while self.text(i) in ("*", "&", "&&") and not self.spaced(i):
            i += 1
        return i < len(self.tokens) and self.tokens[i].kind == "name"

    def close_declarators(self, first, end):
        """Sizes of arrays hold no fault: between a declaration's comma and its `=`."""
        i, initialized = first, False
        while i < end:
            text, last = self.text(i), self.partner.get(i, i)
            if text == ",":
                initialized = False
            elif text == "=":
                initialized = True
            elif text == "[" and not initialized:
                self.closed.update(range(i, last + 1))
            i = last + 1

    def split(self, first, end):
        """Pairs of first and last token between the commas of [first, end)."""
        parts, begin, i = [], first, first
        while i < end:
            if self.text(i) == ",":
                parts.append((begin, i - 1))
                begin = i + 1
            i = self.partner.get(i, i) + 1
        return parts + [(begin, end - 1)]

    def scan_parts(self, first, end):
        """Each part of an expression statement may be missing."""
        parts = self.split(first, end)
        for n, (low, high) in enumerate(parts):
            words = [self.text(i) for i in range(low, high + 1)]
            if not any(word == "(" or word in ("++", "--") or re.fullmatch(r"[^=!<>]?=", word) for word in words):
                continue
            waits = any(map(WAIT.fullmatch, words))
            kind = "barrier" if any(map(BARRIER.fullmatch, words)) else "wait" if waits else "statement"
            if len(parts) == 1:
                self.add(kind, self.tokens[low].start, self.tokens[end].end, "{}")
            elif n == 0:
                self.add(kind, self.tokens[low].start, self.tokens[parts[1][0]].start, "")
            else:
                self.add(kind, self.tokens[low - 1].start, self.tokens[high].end, "")

    def close_qualifiers(self):
        for i, token in enumerate(self.tokens):
            if token.text in QUALIFIERS and self.text(i + 1) == "(":
                self.closed.update(range(i, self.partner.get(i + 1, i + 1) + 1))

    # ---- Tokens

    def scan_token(self, i, token):
        if token.kind == "number":
            self.add("constant", token.start, token.end, other_number(token.text))
        elif token.text == "[" and re.fullmatch(r"\w+|\]|\)", self.text(i - 1)) and self.partner.get(i, i) > i + 1:
            end = self.tokens[self.partner[i]].start
            self.add("index", end, end, " + 1", " - 1")
        elif token.kind == "name" and self.text(i + 1) == "(" and self.tokens[i + 1].start == token.end:
            self.scan_call(i, token)
        elif token.kind == "operator" and self.spaced(i) and self.text(i - 1) not in ("return", "operator"):
            for kind, table in OPERATORS.items():
                if token.text in table and not (kind == "assignment" and i in self.steps):
                    self.add(kind, token.start, token.end, *table[token.text])

    def scan_call(self, i, token):
        """Arguments side by side may be swapped where their parameters are of one type."""
        types = self.parameters.get(token.text, ())
        parts = self.split(i + 2, self.partner.get(i + 1, i + 1))
        for (a, b), (c, d), left, right in zip(parts, parts[1:], types, types[1:]):
            strings = "string" in (self.tokens[a].kind, self.tokens[c].kind)
            if left != right or strings or self.is_declaration(a):
                continue
            start, comma = self.tokens[a].start, self.tokens[b].end
            begin, end = self.tokens[c].start, self.tokens[d].end
            left, right = self.source[start:comma], self.source[begin:end]
            if left != right:
                self.add("arguments", start, end, right + self.source[comma:begin] + left)


def pick(things, number):
    """One of the things, by a number in [0, 1)."""
    return things[int(number * len(things))]


def draw(sources, seed):
    """Yields faults, none twice, until there are no more: the seed alone decides. sources: texts by file name.
    First it draws a file by its lines of code, then a kind, then a place, so that no kind drowns the others."""
    numbers = random.Random(seed)  # random() alone is the same in all versions of Python
    parameters = read_parameters(sources.values())
    scanners = [Scanner(file, sources[file], parameters) for file in sorted(sources)]
    while True:
        scanners = [scanner for scanner in scanners if any(scanner.faults.values())]
        if not scanners:
            return
        at = numbers.random() * sum(scanner.lines for scanner in scanners)
        for scanner in scanners:
            at -= scanner.lines
            if at < 0:
                break
        kind = pick([kind for kind in KINDS if scanner.faults[kind]], numbers.random())
        place = pick(scanner.faults[kind], numbers.random())
        fault = pick(place, numbers.random())
        place.remove(fault)
        if not place:
            scanner.faults[kind].remove(place)
        yield fault
