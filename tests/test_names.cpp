// What messages say of names that are not the library's: what was meant by them, and nothing where nothing was.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "pixloss/pixloss.h"

namespace {

// The message that an expression is refused with.
std::string message_of(const std::string &expression, pxl_status expected = PXL_SYNTAX_ERROR) {
    pxl_loss *const untouched = reinterpret_cast<pxl_loss *>(0x10), *loss = untouched;
    EXPECT_EQ(pxl_loss_parse(expression.c_str(), nullptr, &loss), expected) << expression << ": " << pxl_error_message();
    EXPECT_EQ(loss, untouched) << expression;
    return pxl_error_message();
}
bool says(const std::string &text, const std::string &words) { return text.find(words) != std::string::npos; }
void expect_says(const std::string &expression, const std::string &words, pxl_status status = PXL_SYNTAX_ERROR) {
    const std::string message = message_of(expression, status);
    EXPECT_TRUE(says(message, words)) << expression << ": " << message << "\nwithout " << words;
}
using Pairs = std::vector<std::pair<const char *, const char *>>;

TEST(LossNamesMeant, presets_by_the_names_of_libraries) {
    const Pairs cases = {
        {"pytorch_msssim", "vainf"},
        {"pytorch-msssim", "vainf"},
        {"PyTorch-MSSSIM", "vainf"},
        {"fused_ssim", "fused-ssim"},
        {"fusedssim", "fused-ssim"},
        {"Fused-SSIM", "fused-ssim"},
        {"scikit-image", "skimage"},
        {"scikit_image", "skimage"},
        {"structural_similarity", "skimage"},
        {"tensorflow", "tf"},
        {"TF", "tf"},
        {"TorchMetrics", "torchmetrics"},
        {"torch-metrics", "torchmetrics"},
        {"libvmaf", "vmaf"},
        {"3dgs", "seed"},
        {"gaussian-splatting", "seed"},
        {"pytorch_ssim", "seed"},
        {"kornai", "kornia"},
        {"skimgae", "skimage"},
        {"wnag", "wang"},
    };
    for (const auto &[word, preset] : cases) {
        const std::string suggestion = std::string("; did you mean '") + preset + "'?";
        expect_says(std::string("0.5*ssim(preset=") + word + ")",
                    std::string("column 17: unknown preset '") + word + "'" + suggestion);
        pxl_term term = PXL_TERM(PXL_SSIM, 1);
        term.preset = word;
        pxl_loss *loss = nullptr;
        EXPECT_EQ(pxl_loss_create(&term, 1, &loss), PXL_INVALID_ARGUMENT) << word;
        EXPECT_TRUE(says(pxl_error_message(), "which is unknown" + suggestion)) << pxl_error_message();
    }
    // What no preset is alone.
    expect_says("ssim(preset=matlab)", "; did you mean 'wang' with border=replicate?");
    expect_says("ssim(preset=opencv)", "; did you mean 'wang' with border=reflect?");
    for (const char *word : {"piqa", "pytorch", "torch", "ffmpeg", "nonesuch", "7"})
        expect_says(std::string("ssim(preset=") + word + ")",
                    std::string("'") + word + "'; there are wang, vainf, skimage, tf, ");
}

TEST(LossNamesMeant, what_is_no_argument_but_elsewhere) {
    for (const char *expression : {"lpips(spatial)", "lpips(spatial=True)", "cosine(spatial)"})
        expect_says(expression, "; feature_map in pxl_args is the map that others call so. It takes ");
    expect_says("features(vgg16)", "; did you mean 'net=vgg16'? It takes ");
    expect_says("cosine(vgg16-random)", "; did you mean 'net=vgg16-random'? It takes ");
    for (const char *expression : {"psnr(reduction=none)", "rmse(reduction=none)", "ssim(per_image)", "mse(per_image=1)"})
        expect_says(expression, "; per_image in pxl_args gives a value for each image. It takes ");
    expect_says("mse(spatial)", "; did you mean 'reduction=spatial'?");
    expect_says("tv(norm_type=l2)",
                "; a penalty is a word alone, l1 or l2; piq's l2 of tv is root, reduction=sum, mean_of_images. It");
    expect_says("sobel(MSE)", "; did you mean 'l2'?");
    expect_says("L2", "; did you mean 'l2'?");
    expect_says("L2Loss", "; did you mean 'l2'?");
    expect_says("blur(11)", "; did you mean 'blur(window=11)'?");
    expect_says("blur(1.5)", "; did you mean 'blur(sigma=1.5)'?");
    expect_says("wmse", "unknown term 'wmse'; there are ");
    EXPECT_FALSE(says(message_of("ssim(12)"), "did you mean"));
}

TEST(LossNamesMeant, arguments_by_the_names_of_libraries) {
    const Pairs cases = {
        {"ssim(kernel_size=11)", "window"},
        {"ssim(kernel_size=11:5)", "window"},
        {"blur(kernel_sigma=1:2)", "sigma"},
        {"ssim(window_x=5)", "window"},
        {"ssim(sigma_x=1)", "sigma"},
        {"ssim(win_size=7)", "window"},
        {"ssim(window_size=7)", "window"},
        {"ssim(filter_size=7)", "window"},
        {"ssim(ksize=7)", "window"},
        {"blur(kernel_size=7)", "window"},
        {"ssim(WindowSize=7)", "window"},
        {"ssim(windw=7)", "window"},
        {"ssim(filter_sigma=1)", "sigma"},
        {"ssim(gaussian_sigma=1)", "sigma"},
        {"blur(kernel_sigma=1)", "sigma"},
        {"ssim(gaussian_weights)", "sigma"},
        {"ssim(max_val=1)", "data_range"},
        {"psnr(max_value=1)", "data_range"},
        {"ssim(L=255)", "data_range"},
        {"ssim(drange=255)", "data_range"},
        {"ssim(dynamic_range=1)", "data_range"},
        {"ssim(val_range=1)", "data_range"},
        {"ssim(datarange=1)", "data_range"},
        {"ssim(data-range=1)", "data_range"},
        {"sobel(boundary=zero)", "border"},
        {"sobel(padding_mode=zero)", "border"},
        {"ssim(use_sample_covariance)", "sample_covariance"},
        {"mse(size_average=1)", "reduction"},
        {"mse(reduce=sum)", "reduction"},
        {"charbonnier(epsilon=1)", "eps"},
        {"psnr(epsilon=1)", "eps"},
        {"sobel(mae)", "l1"},
        {"tv(sqrt)", "root"},
        {"tv(smoothl1)", "smooth_l1"},
        {"lpips(network=vgg16)", "net"},
        {"lpips(net_type=vgg)", "net"},
        {"features(layer=relu1_1)", "layers"},
        {"features(normalise=none)", "normalize"},
        {"laplacian(neighbors=8)", "neighbours"},
        {"ssim(valid)", "border=valid"},
        {"ssim(skimage)", "preset=skimage"},
        {"mse(sum)", "reduction=sum"},
        {"features(imagenet)", "normalize=imagenet"},
    };
    for (const auto &[expression, argument] : cases)
        expect_says(expression, std::string("'; did you mean '") + argument + "'? It takes ");
    // Only what the term takes.
    for (const char *expression :
         {"mse(kernel_size=3)", "l1(sigma=2)", "tv(data_range=1)", "rmse(eps=1)", "ssim(lr=1)", "ssim(n=3)"})
        EXPECT_FALSE(says(message_of(expression), "did you mean")) << pxl_error_message();
    EXPECT_TRUE(says(message_of("mse(kernel_size=3)"), "mse has no argument 'kernel_size'; it takes reduction"));
}

TEST(LossNamesMeant, values_by_the_names_of_libraries) {
    const Pairs cases = {
        {"l1(reduction=average)", "mean"},
        {"l1(reduction=MEAN)", "mean"},
        {"l1(reduction=smu)", "sum"},
        {"ssim(border=same)", "zero"},
        {"ssim(padding=none)", "valid"},
        {"ssim(border=grid_mirror)", "symmetric"},
        {"ssim(border=reflect101)", "reflect"},
        {"ssim(border=edge)", "replicate"},
        {"ssim(border=constant)", "zero"},
        {"ssim(border=half_sample)", "symmetric"},
        {"ssim(border=Symetric)", "symmetric"},
        {"ssim(border=wholesample)", "reflect"},
        {"features(precision=half)", "f16"},
        {"features(precision=float32)", "f32"},
        {"features(precision=bfloat16)", "bf16"},
    };
    for (const auto &[expression, value] : cases) expect_says(expression, std::string("'; did you mean '") + value + "'?");
    expect_says("l1(reduction=max)", "unknown reduction 'max'; there are mean, sum, spatial");
    expect_says("ssim(border=circular)", "unknown border 'circular'; there are valid, zero, reflect, replicate, symmetric");
    expect_says("ssim(border=mirror)", "'; reflect is dcb|abcd|cba, symmetric (SciPy's reflect) cba|abcd|dcb"); // is either one
    expect_says("features(normalize=clip)", "unknown normalize 'clip'; there are none, imagenet, lpips");
}

TEST(LossNamesMeant, a_value_for_each_image) {
    for (const char *word : {"none", "None", "per_image", "instance"})
        expect_says(std::string("mse(reduction=") + word + ")", std::string("column 15: unknown reduction '") + word +
                                                                    "'; per_image in pxl_args gives a value for each image");
}

TEST(LossNamesMeant, numbers_by_their_parameter) {
    const Pairs cases = {
        {"huber(1)", "column 7: expected an argument, found '1'; did you mean 'huber(delta=1)'?"},
        {"0.5 * huber( 1e-1 )", "column 14: expected an argument, found '1e-1'; did you mean 'huber(delta=1e-1)'?"},
        {"smooth_l1(0.5)", "did you mean 'smooth_l1(beta=0.5)'?"},
        {"charbonnier(1e-6)", "did you mean 'charbonnier(eps=1e-6)'?"},
        {"pixel(huber, 2)", "column 14: expected an argument, found '2'; did you mean 'delta=2'?"},
        {"sobel(charbonnier, .01)", "did you mean 'eps=.01'?"},
        {"tv(isotropic, 1e-4)", "did you mean 'eps=1e-4'?"},
        {"blur(2)", "did you mean 'blur(sigma=2)'?"},
        {"ssim(11)", "did you mean 'ssim(window=11)'?"},
        {"dssim(1.5)", "did you mean 'dssim(sigma=1.5)'?"},
        {"ssim(preset=tf, 7)", "did you mean 'window=7'?"},
        {"psnr(255)", "did you mean 'psnr(data_range=255)'?"},
        {"psnr(1e-8)", "did you mean 'psnr(eps=1e-8)'?"},
        {"laplacian(8)", "did you mean 'laplacian(neighbours=8)'?"},
    };
    for (const auto &[expression, message] : cases) expect_says(expression, message);
    for (const char *expression :
         {"l1(1)", "mse(2)", "rmse(1)", "sobel(1)", "tv(0.1)", "laplacian(3)", "lpips(1)", "ssim()", "huber(-1)", "huber(=1)"})
        EXPECT_FALSE(says(message_of(expression), "did you mean")) << pxl_error_message();
    EXPECT_FALSE(says(message_of("huber(" + std::string(64, '1') + ")"), "did you mean")) << pxl_error_message();
}

TEST(LossNamesMeant, terms_by_the_names_of_libraries) {
    const Pairs cases = {
        {"l1_loss", "l1"},
        {"L1Loss", "l1"},
        {"MSELoss", "mse"},
        {"SmoothL1Loss", "smooth_l1"},
        {"smooth-l1", "smooth_l1"},
        {"smoothl1", "smooth_l1"},
        {"huber_loss", "huber"},
        {"ssim_loss", "ssim"},
        {"total_variation", "tv"},
        {"total-variation-loss", "tv"},
        {"TV", "tv"},
        {"structural_similarity", "ssim"},
        {"perceptual", "features"},
        {"perceptual_loss", "features"},
        {"content_loss", "features"},
        {"gram", "style"},
        {"sobel_l1", "sobel"},
        {"laplace", "laplacian"},
        {"gaussian", "blur"},
        {"cosine_similarity", "cosine"},
        {"mean_squared_error", "mse"},
        {"sim", "ssim"},
        {"sssim", "ssim"},
        {"mes", "mse"},
        {"rmes", "rmse"},
        {"feature", "features"},
        {"lips", "lpips"},
        {"charbonier", "charbonnier"},
        {"lumniance", "luminance"},
    };
    for (const auto &[word, term] : cases)
        expect_says(std::string("l1 + 2*") + word,
                    std::string("column 8: unknown term '") + word + "'; did you mean '" + term + "'?");
    expect_says("l1 + sssim-l1", "column 6: unknown term 'sssim'; did you mean 'ssim'?");
}

TEST(LossNamesMeant, other_metrics_are_not_taken_for_ours) {
    for (const char *word :
         {"gmsd",       "ms_gmsd",     "sam",  "fsim",      "fsimc",   "srsim", "gssim",  "iw_ssim", "iw-ssim",     "cw_ssim",
          "vif",        "vifp",        "vsi",  "mdsi",      "dss",     "uqi",   "uiqi",   "scc",     "rase",        "ergas",
          "snr",        "vsnr",        "wsnr", "psnrb",     "psnr_b",  "nmse",  "nrmse",  "msle",    "rmsle",       "mape",
          "mase",       "smape",       "mad",  "sad",       "ssd",     "ncc",   "nmi",    "mi",      "kl",          "bce",
          "fid",        "kid",         "isc",  "niqe",      "brisque", "dists", "elpips", "pieapp",  "haarpsi",     "nlpd",
          "ssimulacra", "butteraugli", "vmaf", "ciede2000", "dice",    "focal", "lncc",   "clip",    "contrastive", "contextual",
          "wavelet",    "fft",         "l0",   "l3",        "linf",    "a",     "xy",     "squared"}) {
        const std::string message = message_of(word);
        EXPECT_FALSE(says(message, "did you mean")) << message;
        EXPECT_TRUE(says(message, "'; there are pixel, sobel, laplacian, tv, blur, ") && says(message, ", log_cosh, mae"))
            << message;
    }
}

TEST(LossNamesMeant, penalties) {
    for (const char *word : {"logcosh", "LogCosh", "log-cosh"}) expect_says(word, "did you mean 'log_cosh'?", PXL_SYNTAX_ERROR);
    for (const char *word : {"PseudoHuber", "pseudohuber"}) expect_says(word, "did you mean 'pseudo_huber'?", PXL_SYNTAX_ERROR);
}
TEST(LossNamesMeant, ms_ssim) {
    for (const char *word : {"ms-ssim", "msssim", "MS-SSIM", "MS_SSIM", "ms_ssim_loss", "MS_SSIM_Loss", "multiscale_ssim",
                             "multi-scale-ssim", "ms-ssim(window=7)", "msssim-l1", "l1 + 0.2*ms-ssim"})
        expect_says(word, "did you mean 'ms_ssim'?", PXL_SYNTAX_ERROR);
    for (const char *word : {"1-ms_ssim", "1 - ms-ssim", "l1 + (1 - MS-SSIM)"})
        expect_says(word, "as a term, ms_ssim is 1 - MS-SSIM already: write ms_ssim", PXL_SYNTAX_ERROR);
    expect_says("ms_ssim(betas=0.5:0.5)", "did you mean 'weights'?", PXL_SYNTAX_ERROR);
    expect_says("ms_ssim(normalize=relu)", "did you mean 'clamp'?", PXL_SYNTAX_ERROR);
    expect_says("ms_ssim(weights=0.2,0.8)", "numbers of weights stand between colons: weights=0.2:0.8", PXL_SYNTAX_ERROR);
}
TEST(LossNamesMeant, terms_of_later_versions) { expect_says("ENL", "column 1: enl is not in this version", PXL_UNSUPPORTED); }

TEST(LossNamesMeant, one_minus_ssim) {
    const char *const ssim = "as a term, ssim is 1 - SSIM already: write ssim, or dssim for half of it";
    for (const char *expression : {"1-ssim", "1 - ssim", "1.0 - SSIM", "(1 - ssim)", "(1-ssim)/2", "( 1 - ssim(window=7) ) + l1"})
        expect_says(expression, std::string("column 1: ") + ssim);
    expect_says("l1 + 0.2*(1 - ssim)", std::string("column 10: ") + ssim);
    expect_says("l1 + 1 - ssim", std::string("column 6: ") + ssim);
    expect_says("1 - cosine", "as a term, cosine is 1 - cosine already: write cosine");
    expect_says("1 - luminance", "write luminance");
    for (const char *expression : {"2 - ssim", "1 + ssim", "1 - l1", "(ssim)", "(1 + ssim)", "1 - psnr", "1 -", "(1", "1"})
        EXPECT_FALSE(says(message_of(expression), "already")) << pxl_error_message();
}

// 511 bytes, whatever is quoted: nothing is cut off in the middle.
TEST(LossNamesMeant, messages_are_whole) {
    const std::string name(39, 'x'), preset(60, 'p');
    for (const std::string &expression :
         {"features(" + name + "=1)", "l1 + " + name, "ssim(" + name + "=2)", "ssim(preset=" + preset + ")",
          std::string("ssim(use_sample_covariance)"), std::string("features(normalise)")}) {
        const std::string message = message_of(expression);
        EXPECT_LT(message.size(), 480u) << message;
        const std::string end = message.substr(message.rfind(' ') + 1);
        EXPECT_TRUE(end == "reduction" || end == "mae" || end == "vmaf") << message;
    }
    for (const std::string &expression :
         {std::string(100000, 'f'), "ssim(" + std::string(100000, 'w') + ")", "l1(reduction=" + std::string(100000, 'm') + ")"})
        EXPECT_FALSE(says(message_of(expression), "did you mean")) << pxl_error_message();
}

} // namespace
