// pixloss: compare images, recover one from a degraded copy, measure speed. Reads the command line; the commands do the rest.
// Exit codes: 0 done, 1 failed at run time, 2 the command line cannot be meant.
#include <CLI/CLI.hpp>
#include <iostream>

#include "commands.hpp"
#include "engine.hpp"

#if defined __SANITIZE_ADDRESS__
// Fontconfig keeps what it has read of its configuration until the process ends. Everything else must be given back.
extern "C" const char *__lsan_default_suppressions() { return "leak:libfontconfig"; }
extern "C" const char *__lsan_default_options() { return "print_suppressions=0"; }
#endif

namespace {

const char examples[] =
    "\nExamples:\n"
    "  pixloss compare original.png compressed.jpg                       all metrics as a table\n"
    "  pixloss compare --json --preset skimage a.png b.png               the same for programs\n"
    "  pixloss compare --map map.png a.png b.png                         where the images differ\n"
    "  pixloss compare --loss '0.84*ssim + 0.16*l1' a.png b.png          any loss of the library\n"
    "  pixloss fit --loss mse --loss '0.84*ssim + 0.16*l1' photo.png     what a loss does to an image\n"
    "  pixloss bench --loss 'ssim + 0.1*sobel' --size 8x3x512x512        how fast it is here\n"
    "\nExit codes: 0 done; 1 failed (a file, the images, memory); 2 the command line was wrong.\n";

const char compare_notes[] =
    "\nREFERENCE and TEST are PNG (8, 16 bit), JPEG or TIFF (8, 16 bit, 32-bit float; the first page), of one size. Integer "
    "images\n"
    "are divided by their maximum, so that all values are those of images on [0, 1]; floating point is taken as it is. No gamma "
    "or\n"
    "colour conversion, and all channels count alike. psnr is 10 log10(1 / mse) in dB, dssim is (1 - ssim) / 2, sobel_l1 and\n"
    "laplacian_l1 are mean absolute differences of the filtered images (sobel: both directions added).\n"
    "ms_ssim is not in this version: null in --json.\n";

const char fit_notes[] =
    "\nThe image is blurred and noise is added; then its pixels are recovered by gradient descent (Adam) on\n"
    "loss(blur(pixels), degraded) + roughness * tv(isotropic), once for each loss.\n"
    "The roughness is chosen for each loss from the known strength of the noise; the tv is that of the pixels.\n"
    "The descent never sees the original: it stops after --steps, and PSNR and SSIM against the original only report how far\n"
    "it came. Writes FILE.png (the pictures) and FILE-curves.png (PSNR over steps), never over IMAGE.\n";

const char bench_notes[] =
    "\nA pixel here is one element of one channel. GB/s counts what has to move: two images read, and for the gradient one "
    "written.\n"
    "'of copy' compares it with plain loops that move just as much, measured in the same run, turn by turn; the figures are "
    "medians.\n";

void add_compare(CLI::App &app, cli::CompareOptions &options) {
    CLI::App *command = app.add_subcommand("compare", "Score a test image against a reference");
    command->add_option("--preset", options.preset, "Definition of SSIM: a library's or paper's name, see `pixloss info`")
        ->type_name("NAME")
        ->capture_default_str();
    // By functions: CLI11 takes an empty text for an optional as none.
    const auto set_loss = [&](const std::string &text) { options.loss = text; };
    const auto set_map = [&](const std::string &text) { options.map = text; };
    command->add_option_function<std::string>("--loss", set_loss, "An expression to evaluate too, '0.84*ssim + 0.16*l1'")
        ->type_name("EXPR");
    command->add_flag("--json", options.json, "Print one JSON object");
    command->add_option_function<std::string>("--map", set_map, "Draw the SSIM map into this file, a .png")->type_name("FILE");
    static std::string device = "cpu";
    command->add_option("--device", device, "Where to compute")
        ->type_name("DEVICE")
        ->check(CLI::IsMember({"cpu"}))
        ->capture_default_str();
    command->add_option("REFERENCE", options.reference, "The image that is right")->type_name("FILE")->required();
    command->add_option("TEST", options.test, "The image to judge")->type_name("FILE")->required();
    command->footer(compare_notes);
    command->callback([&] { cli::compare(options); });
}

void add_fit(CLI::App &app, cli::FitOptions &options) {
    CLI::App *command = app.add_subcommand("fit", "Degrade an image and recover it by descent on a loss");
    command->add_option("--loss", options.losses, "A loss to descend on; repeat for more [three that show the difference]")
        ->type_name("EXPR")
        ->allow_extra_args(false);
    command->add_option("--out", options.out, "The contact sheet, a .png")->type_name("FILE")->capture_default_str();
    command->add_option("--steps", options.steps, "Steps of the descent")
        ->type_name("N")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    command->add_option("IMAGE", options.image, "The image: PNG, JPEG or TIFF, values on [0, 1]")->type_name("FILE")->required();
    command->footer(fit_notes);
    command->callback([&] { cli::fit(options); });
}

void add_bench(CLI::App &app, cli::BenchOptions &options) {
    CLI::App *command = app.add_subcommand("bench", "Measure the speed of a loss and its gradient");
    command->add_option("--loss", options.loss, "The loss")->type_name("EXPR")->capture_default_str();
    command->add_option("--size", options.size, "Images, channels, height and width")
        ->type_name("NxCxHxW")
        ->capture_default_str();
    command->add_option("--dtype", options.dtype, "Element type")
        ->type_name("TYPE")
        ->check(CLI::IsMember({"f32", "f16", "bf16", "f64"}))
        ->capture_default_str();
    command->add_option("--threads", options.threads, "At most so many threads; 0: all")
        ->type_name("N")
        ->check(CLI::Range(0, 4096))
        ->capture_default_str();
    command->add_flag("--json", options.json, "Print one JSON object");
    command->footer(bench_notes);
    command->callback([&] { cli::bench(options); });
}

int fail(int code, const std::string &message) {
    std::cerr << "pixloss: " << message << "\n";
    return code;
}

} // namespace

int main(int argc, char **argv) {
    cli::CompareOptions compare;
    cli::FitOptions fit;
    cli::BenchOptions bench;
    try {
        CLI::App app("pixloss: image losses and their exact gradients", "pixloss");
        app.set_version_flag("--version", std::string("pixloss ") + PIXLOSS_PROGRAM_VERSION + " (library " + pxl_version() + ")");
        app.require_subcommand(0, 1); // not (1): its message would hide which argument was not understood
        app.footer(examples);
        add_compare(app, compare);
        add_fit(app, fit);
        add_bench(app, bench);
        app.add_subcommand("info", "Version, devices and presets of this build")->callback([] { cli::info(); });
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError &error) {
            const int code = app.exit(error, std::cout, std::cerr);
            return code == 0 ? 0 : 2;
        }
        if (app.get_subcommands().empty())
            throw cli::UsageError("a command is missing: compare, fit, bench or info; see pixloss --help");
        return 0;
    } catch (const cli::UsageError &error) {
        return fail(2, error.what());
    } catch (const std::bad_alloc &) {
        return fail(1, "not enough memory");
    } catch (const std::exception &error) {
        return fail(1, error.what());
    }
}
