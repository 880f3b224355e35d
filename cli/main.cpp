// pixloss: compare images, recover one from a degraded copy, measure speed, check a device. Reads the command line; the commands
// do the rest. Exit codes: 0 done, 1 failed at run time, 2 the command line cannot be meant.
#include <CLI/CLI.hpp>
#include <iostream>

#include "commands.hpp"
#include "description.hpp"
#include "engine.hpp"
#include "expression.hpp"
#include "report.hpp"

#if defined __SANITIZE_ADDRESS__
// Fontconfig keeps what it has read of its configuration until the process ends, and the loader its last message. Everything else
// must be given back. The leak check stumbles over the thread-local memory of libraries that were loaded late, as oneDNN is.
extern "C" const char *__lsan_default_suppressions() {
    return "leak:libfontconfig\nleak:_dl_exception_create\nleak:_dlerror_run\nleak:libgomp";
}
extern "C" const char *__lsan_default_options() { return "print_suppressions=0:use_tls=0"; }
#endif

namespace {

const char examples[] =
    "\nExamples:\n"
    "  pixloss compare original.png compressed.jpg                       all metrics as a table\n"
    "  pixloss compare --json --preset skimage a.png b.png               the same for programs\n"
    "  pixloss compare --csv originals compressed > results.csv          the images of two folders, matched by name\n"
    "  magick a.png -blur 2 png:- | pixloss compare a.png -              the output of another program\n"
    "  pixloss compare --map map.png a.png b.png                         where the images differ\n"
    "  pixloss compare --features vgg16.safetensors a.png b.png          how far apart they are to a network\n"
    "  pixloss compare --loss '0.84*ssim + 0.16*l1' a.png b.png          any loss of the library\n"
    "  pixloss fit --loss mse --loss '0.84*ssim + 0.16*l1' photo.png     what a loss does to an image\n"
    "  pixloss bench --loss 'ssim + 0.1*sobel' --size 8x3x512x512        how fast it is here\n"
    "  pixloss selftest --device cuda                                    is every result right on this card\n"
    "\nExit codes: 0 done; 1 failed (a file, the images, one pair of two folders, memory, the selftest); 2 the command line was\n"
    "wrong, or there is no such device.\n"
    "\nEnvironment: OMP_NUM_THREADS is how many threads of the CPU are used; PXLOSS_ISA (avx512, avx2, sse2) asks for lesser\n"
    "instructions than the best of this processor. `pixloss info` shows both.\n";

const char compare_notes[] =
    "\nREFERENCE and TEST are PNG (8, 16 bit), JPEG or TIFF (8, 16 bit, 16-, 32- or 64-bit float; the first page), of one size,\n"
    "told apart by content. Integer images are divided by their maximum, so that all values are those of images on [0, 1] and\n"
    "8 and 16 bit can be compared; floating point is taken as it is. No gamma or colour conversion, no rotation by EXIF, and "
    "all\n"
    "channels count alike. psnr is 10 log10(1 / mse) in dB, dssim is (1 - ssim) / 2, ms_ssim has five scales,\n"
    "which takes images of 161 pixels and more each way (torchmetrics: 88), sobel_l1 and laplacian_l1 are mean absolute\n"
    "differences of the filtered images (sobel: both directions added).\n"
    "\n"
    "An image that is transparent somewhere is refused unless --alpha says what is behind it: black, white, a colour (#ff8000),\n"
    "checker (squares of 8 pixels, #666666 and #999999); or ignore, which takes the colours as they are in the file. It is put "
    "in\n"
    "front of that in the values of the file. An alpha channel that is opaque everywhere needs no option.\n"
    "\n"
    "Of two folders the images are compared that have the same name, or else the same name without its ending (a.png, a.jpg), a\n"
    "line for each and a summary. Subfolders, hidden files and files whose ending is not that of an image are passed over. An\n"
    "image without a counterpart is warned about. One that cannot be compared is reported, does not stop the others, and makes\n"
    "the exit code 1, as does a folder without a single pair.\n"
    "\n"
    "--json prints an object in a line for each pair, --csv a line of names, then a line for each pair; its last column, or the\n"
    "key error, says why a pair could not be compared. What is infinite or not a number is null in --json. The summary is the\n"
    "last line of --json with --summary.\n"
    "\n"
    "--preset is also that of the windowed terms of --loss (ssim, dssim, luminance, contrast, structure) which name none.\n"
    "ms_ssim is missing, null in --json, with a preset whose library has none, and for images too small for its scales;\n"
    "in --loss it takes the preset that is written there.\n"
    "\n"
    "--features adds the distances features (content), cosine, style and, with --lpips or random weights, lpips, each as --loss\n"
    "has it; scripts/convert_weights.py makes the files from torch's. Terms of --loss that name no net are of this network. A\n"
    "distance for which the images are too small is missing, null in --json. Weights are random only where that is written\n"
    "(--features random, net=vgg16-random), and the output says so: they suit tests; their distances are not those of the\n"
    "trained network. A grey image goes to all three inputs.\n";

const char fit_notes[] =
    "\nThe image is blurred and noise is added; then its pixels are recovered by gradient descent (Adam) on\n"
    "loss(blur(pixels), degraded) + roughness * tv(isotropic), once for each loss.\n"
    "The roughness is chosen for each loss from the known strength of the noise; the tv is that of the pixels.\n"
    "The descent never sees the original: it stops after --steps, and PSNR and SSIM against the original only report how far\n"
    "it came. Writes FILE.png (the pictures) and FILE-curves.png (PSNR over steps), never over IMAGE.\n"
    "With --device cuda the blur, the losses and their gradients are computed there; Adam's step on the pixels stays here.\n";

const char bench_notes[] =
    "\nA pixel here is one element of one channel. GB/s counts what has to move: two images read, and for the gradient one\n"
    "written. 'of copy' compares it with plain loops that move just as much, measured in the same run, turn by turn; 'of FMA'\n"
    "the multiply-adds that windows and stencils ask for with the machine's rate of them, measured likewise (on the CPU). The\n"
    "figures are medians. Spread is (90th - 10th percentile) / median; where a side of a ratio has more than 20 %, the ratio is\n"
    "left out ('-'). A warning tells if other programs took more than 10 % of the processors' time.\n"
    "With --device cuda it is compared with a copy within the device (what that reads and writes); all are timed by events,\n"
    "several runs to a sample after a warm-up. Images that fit the card's cache are faster than its memory.\n";

const char selftest_notes[] =
    "\nRuns every term with its penalties, borders, presets, windows and reductions, and the operators (filters, statistics,\n"
    "reductions) on images of several sizes, of all types (f32, f16, bf16; u8 and u16 for values) and layouts (NCHW, NHWC, a\n"
    "crop), with and without weights. Compares values and the gradients of both images with the CPU's in f64 on the same\n"
    "rounded pixels; each is run twice and must give the same bits.\n"
    "A figure is the worst error in units of its bound: of a value 1e-5 of it; of a gradient 1e-4 of the largest element, "
    "beyond\n"
    "half a unit in the last place of its type. Exit code 1 if one is 1 or more.\n";

const char completion_notes[] =
    "\nAn installation puts these scripts where the shells look for them. Elsewhere: source <(pixloss completion bash),\n"
    "source <(pixloss completion zsh), pixloss completion fish | source.\n";

void add_device(CLI::App &command, std::string &device) {
    command.add_option("--device", device, "Where to compute: cpu, cuda, cuda:1, ...")
        ->type_name("DEVICE")
        ->capture_default_str();
}

void add_alpha(CLI::App &command, std::string &alpha) {
    command
        .add_option("--alpha", alpha, "What is behind transparent pixels: black, white, checker, #rrggbb; or ignore, or refuse")
        ->type_name("ALPHA")
        ->capture_default_str();
}

// By functions: CLI11 takes an empty text for an optional as none.
void add_text(CLI::App &command, const std::string &option, std::optional<std::string> &to, const std::string &type,
              const std::string &text) {
    command
        .add_option_function<std::string>(
            option, [&to](const std::string &typed) { to = typed; }, text)
        ->type_name(type);
}

void add_networks(CLI::App &command, cli::NetworkOptions &options) {
    add_text(
        command, "--features", options.features, "FILE",
        "Weights of the network of features, cosine, style and lpips, a .safetensors; or random weights: random, vgg11-random, "
        "vgg13-random, vgg16-random, vgg19-random");
    add_text(command, "--lpips", options.lpips, "FILE", "LPIPS' linear weights for it, a .safetensors");
}

void add_compare(CLI::App &app, cli::CompareOptions &options, bool &passed) {
    CLI::App *command = app.add_subcommand("compare", "Score a test image against a reference");
    command->add_option("--preset", options.preset, "Definition of SSIM: a library's or paper's name, see `pixloss info`")
        ->type_name("PRESET")
        ->capture_default_str();
    add_text(*command, "--loss", options.loss, "EXPR", "An expression to evaluate too, '0.84*ssim + 0.16*l1'");
    add_networks(*command, options.network);
    CLI::Option *json = command->add_flag("--json", options.json, "Print one JSON object in a line for each pair of images");
    command->add_flag("--csv", options.csv, "Print a line of column names, then one for each pair")->excludes(json);
    command->add_flag("--summary", options.summary, "Of folders: a last line of --json with mean, median, min, max and worst");
    add_alpha(*command, options.alpha);
    add_text(*command, "--map", options.map, "FILE", "Draw a map of where the images differ into this file, a .png");
    command->add_option("--map-of", options.map_of, "The map of what: ssim, lpips, features or cosine [ssim]")
        ->type_name("TERM")
        ->check(CLI::IsMember({"ssim", "lpips", "features", "cosine"}));
    add_device(*command, options.device);
    command->add_option("REFERENCE", options.reference, "The image that is right, - (standard input) or a folder of images")
        ->type_name("FILE")
        ->required();
    command->add_option("TEST", options.test, "The image to judge, - or a folder of images")->type_name("FILE")->required();
    command->footer(compare_notes);
    command->callback([&] { passed = cli::compare(options); });
}

void add_fit(CLI::App &app, cli::FitOptions &options) {
    CLI::App *command = app.add_subcommand("fit", "Degrade an image and recover it by descent on a loss");
    command->add_option("--loss", options.losses, "A loss to descend on; repeat for more [three that show the difference]")
        ->type_name("EXPR")
        ->allow_extra_args(false);
    add_networks(*command, options.network);
    command->add_option("--out", options.out, "The contact sheet, a .png")->type_name("FILE")->capture_default_str();
    command->add_option("--steps", options.steps, "Steps of the descent")
        ->type_name("N")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    add_device(*command, options.device);
    add_alpha(*command, options.alpha);
    command->add_option("IMAGE", options.image, "The image: PNG, JPEG or TIFF, values on [0, 1]; - is standard input")
        ->type_name("FILE")
        ->required();
    command->footer(fit_notes);
    command->callback([&] { cli::fit(options); });
}

void add_bench(CLI::App &app, cli::BenchOptions &options) {
    CLI::App *command = app.add_subcommand("bench", "Measure the speed of a loss and its gradient");
    command->add_option("--loss", options.loss, "The loss")->type_name("EXPR")->capture_default_str();
    add_networks(*command, options.network);
    command->add_option("--size", options.size, "Images, channels, height and width")
        ->type_name("NxCxHxW")
        ->capture_default_str();
    command->add_option("--dtype", options.dtype, "Element type")
        ->type_name("TYPE")
        ->check(CLI::IsMember({"f32", "f16", "bf16", "f64"}))
        ->capture_default_str();
    add_device(*command, options.device);
    command->add_option("--threads", options.threads, "At most so many threads of the CPU; 0: all")
        ->type_name("N")
        ->check(CLI::Range(0, 4096))
        ->capture_default_str();
    command->add_flag("--json", options.json, "Print one JSON object");
    command->footer(bench_notes);
    command->callback([&] { cli::bench(options); });
}

void add_selftest(CLI::App &app, cli::SelftestOptions &options, bool &passed) {
    CLI::App *command = app.add_subcommand("selftest", "Check every result of a device against the CPU in f64");
    const auto set_device = [&](const std::string &text) { options.device = text.empty() ? "''" : text; };
    command
        ->add_option_function<std::string>("--device", set_device, "What to check: cpu, cuda, cuda:1, ... [cuda if there is one]")
        ->type_name("DEVICE");
    command->add_flag("--json", options.json, "Print one JSON object");
    command->add_flag("--quick", options.quick, "Small images only");
    command->footer(selftest_notes);
    command->callback([&] { passed = cli::selftest(options); });
}

// What the program says of itself to shells and to man, from the same description as --help.
void add_own_description(CLI::App &app, std::string &shell) {
    CLI::App *command = app.add_subcommand("completion", "Print the completion script of a shell");
    command->add_option("SHELL", shell, "The shell")->type_name("NAME")->check(CLI::IsMember(cli::shells()))->required();
    command->footer(completion_notes);
    command->callback([&] { cli::print(cli::completion(cli::describe(app), shell)); });
    app.add_subcommand("man", "Print the manual page, for `man -l -`")->callback([&] {
        cli::print(cli::manual_page(cli::describe(app), PIXLOSS_PROGRAM_VERSION));
    });
}

// What the program takes where the user typed something else: its commands, or the options of the command.
std::vector<std::string> names_in(const CLI::App &app) {
    std::vector<std::string> names;
    for (const CLI::App *command : app.get_subcommands([](const CLI::App *) { return true; }))
        names.push_back(command->get_name());
    return names;
}
std::vector<std::string> options_of(const CLI::App &app) {
    std::vector<std::string> names;
    for (const CLI::Option *option : app.get_options())
        for (const std::string &name : option->get_lnames()) names.push_back("--" + name);
    return names;
}

// What is wrong with the command line: a word that was not understood, or else what CLI11 says.
std::string explain(CLI::App &app, const CLI::ParseError &error) {
    const std::vector<CLI::App *> chosen = app.get_subcommands();
    CLI::App &where = chosen.empty() ? app : *chosen[0];
    const std::string program = chosen.empty() ? "pixloss" : "pixloss " + where.get_name();
    for (const std::string &word : app.remaining(true)) {
        const bool option = word.size() > 1 && word[0] == '-';
        if (!option && !chosen.empty()) continue; // one file too many
        const std::string name = option ? word.substr(0, word.find('=')) : word;
        const std::string nearest = cli::nearest_name(name, option ? options_of(where) : names_in(app));
        return std::string("unknown ") + (option ? "option '" : "command '") + name + "'" +
               (nearest.empty() ? "; see " : "; did you mean '" + nearest + "'? See ") + program + " --help";
    }
    return std::string(error.what()) + "; see " + program + " --help";
}

int fail(int code, const std::string &message) {
    std::cerr << "pixloss: " << cli::printable(message) << "\n";
    return code;
}

} // namespace

int main(int argc, char **argv) {
    cli::CompareOptions compare;
    cli::FitOptions fit;
    cli::BenchOptions bench;
    cli::SelftestOptions selftest;
    std::string shell;
    bool passed = true;
    try {
        CLI::App app("pixloss: image losses and their exact gradients", "pixloss");
        app.set_version_flag("--version", std::string("pixloss ") + PIXLOSS_PROGRAM_VERSION + " (library " + pxl_version() + ")");
        app.require_subcommand(0, 1); // not (1): its message would hide which argument was not understood
        app.footer(examples);
        add_compare(app, compare, passed);
        add_fit(app, fit);
        add_bench(app, bench);
        add_selftest(app, selftest, passed);
        app.add_subcommand("info", "Version, devices and presets of this build")->callback([] { cli::info(); });
        add_own_description(app, shell);
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError &error) {
            if (error.get_exit_code()) throw cli::UsageError(explain(app, error));
            return app.exit(error, std::cout, std::cerr);
        }
        if (app.get_subcommands().empty())
            throw cli::UsageError("a command is missing: compare, fit, bench, selftest or info; see pixloss --help");
        return passed ? 0 : 1;
    } catch (const cli::UsageError &error) {
        return fail(2, error.what());
    } catch (const std::bad_alloc &) {
        return fail(1, "not enough memory");
    } catch (const std::exception &error) {
        return fail(1, error.what());
    }
}
