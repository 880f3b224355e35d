// Losses: expressions and their errors, names that parse back, presets, and what pxl_loss_create refuses.
#include <gtest/gtest.h>

#include <clocale>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "pixloss/pixloss.h"

namespace {

using LossPtr = std::unique_ptr<pxl_loss, decltype(&pxl_loss_destroy)>;

LossPtr parse(const std::string &expression) {
    pxl_loss *loss = nullptr;
    EXPECT_EQ(pxl_loss_parse(expression.c_str(), nullptr, &loss), PXL_OK) << expression << ": " << pxl_error_message();
    return {loss, pxl_loss_destroy};
}

std::string name_of(const std::string &expression) {
    LossPtr loss = parse(expression);
    return loss ? pxl_loss_term_name(loss.get(), 0) : "";
}

std::string name_of(const pxl_term &term) {
    pxl_loss *loss = nullptr;
    EXPECT_EQ(pxl_loss_create(&term, 1, &loss), PXL_OK) << pxl_error_message();
    LossPtr owner(loss, pxl_loss_destroy);
    return loss ? pxl_loss_term_name(loss, 0) : "";
}

pxl_term make(
    pxl_term_kind kind, const std::function<void(pxl_term &)> &edit = [](pxl_term &) {}) {
    pxl_term term = PXL_TERM(kind, 1);
    edit(term);
    return term;
}

// An expression, or a term, that is refused: the result stays what it was and the message contains `text`.
pxl_loss *const untouched = reinterpret_cast<pxl_loss *>(0x10);

void expect_refused(const std::string &expression, pxl_status status, const std::string &text) {
    pxl_loss *loss = untouched;
    EXPECT_EQ(pxl_loss_parse(expression.c_str(), nullptr, &loss), status) << expression << ": " << pxl_error_message();
    EXPECT_EQ(loss, untouched) << expression;
    EXPECT_NE(std::string(pxl_error_message()).find(text), std::string::npos) << expression << ": " << pxl_error_message();
}

void expect_refused(const pxl_term &term, const std::string &text, pxl_status status = PXL_INVALID_ARGUMENT) {
    pxl_term terms[2] = {PXL_TERM(PXL_PIXEL, 1), term};
    pxl_loss *loss = untouched;
    EXPECT_EQ(pxl_loss_create(terms, 2, &loss), status) << text << " | " << pxl_error_message();
    EXPECT_EQ(loss, untouched) << text;
    EXPECT_NE(std::string(pxl_error_message()).find(text), std::string::npos) << text << " | " << pxl_error_message();
}

TEST(LossParse, WeightsAndOrder) {
    LossPtr loss = parse("0.84*ssim(window=11, sigma=1.5, border=valid) + 0.16*l1 - 1e-3*tv + 2 * psnr - rmse");
    ASSERT_TRUE(loss);
    ASSERT_EQ(pxl_loss_term_count(loss.get()), 5u);
    const double weights[] = {0.84, 0.16, -1e-3, 2, -1};
    const char *names[] = {"ssim", "l1", "tv", "psnr", "rmse"};
    for (size_t i = 0; i < 5; i++) {
        EXPECT_EQ(pxl_loss_term_weight(loss.get(), i), weights[i]);
        EXPECT_STREQ(pxl_loss_term_name(loss.get(), i), names[i]);
    }
    EXPECT_EQ(pxl_loss_term_name(loss.get(), 5), nullptr);
    EXPECT_TRUE(std::isnan(pxl_loss_term_weight(loss.get(), 5)));
}

TEST(LossParse, NullLoss) {
    EXPECT_EQ(pxl_loss_term_count(nullptr), 0u);
    EXPECT_EQ(pxl_loss_term_name(nullptr, 0), nullptr);
    EXPECT_TRUE(std::isnan(pxl_loss_term_weight(nullptr, 0)));
    pxl_loss_destroy(nullptr);
}

TEST(LossParse, Signs) {
    EXPECT_EQ(pxl_loss_term_weight(parse("-0.1*psnr").get(), 0), -0.1);
    EXPECT_EQ(pxl_loss_term_weight(parse("-psnr").get(), 0), -1);
    LossPtr loss = parse("l1 + -0.5*ssim - -2*mse");
    EXPECT_EQ(pxl_loss_term_weight(loss.get(), 1), -0.5);
    EXPECT_EQ(pxl_loss_term_weight(loss.get(), 2), 2);
    EXPECT_EQ(pxl_loss_term_weight(parse("0*l1").get(), 0), 0);
    EXPECT_EQ(pxl_loss_term_weight(parse(".5*l1").get(), 0), 0.5);
    EXPECT_EQ(pxl_loss_term_weight(parse("5.*l1").get(), 0), 5);
    EXPECT_EQ(pxl_loss_term_weight(parse("1E+2*l1").get(), 0), 100);
}

TEST(LossParse, WhiteSpaceAnywhere) {
    EXPECT_EQ(name_of("\t 2 *\n sobel ( charbonnier ,\r\n eps = 0.5 ) "), "sobel(charbonnier, eps=0.5)");
}

TEST(LossParse, NumbersIgnoreTheLocale) {
    for (const char *locale : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C"}) {
        if (!setlocale(LC_ALL, locale)) continue;
        LossPtr loss = parse("0.5*huber(delta=0.25)");
        EXPECT_EQ(pxl_loss_term_weight(loss.get(), 0), 0.5) << locale;
        EXPECT_STREQ(pxl_loss_term_name(loss.get(), 0), "huber(delta=0.25)") << locale;
    }
    setlocale(LC_ALL, "C");
}

struct NameCase {
    const char *expression, *name;
};

// Each name on the right is also parsed again, and must come out the same.
const NameCase names[] = {
    {"pixel", "mse"},
    {"mse", "mse"},
    {"l2", "mse"},
    {"pixel(l1)", "l1"},
    {"pixel(squared)", "mse"},
    {"mae", "l1"},
    {"huber", "huber"},
    {"huber(delta=0.1)", "huber(delta=0.1)"},
    {"pixel(delta=0.1, huber)", "huber(delta=0.1)"},
    {"smooth_l1(beta=0.5)", "smooth_l1(beta=0.5)"},
    {"charbonnier(eps=1e-9)", "charbonnier(eps=1e-09)"},
    {"mse(reduction=sum)", "mse(reduction=sum)"},
    {"l1(reduction=mean)", "l1"},
    {"sobel(l1)", "sobel"},
    {"sobel(charbonnier, eps=1e-3)", "sobel(charbonnier, eps=0.001)"},
    {"sobel(smooth_l1, beta=2)", "sobel(smooth_l1, beta=2)"},
    {"sobel(isotropic)", "sobel(isotropic)"},
    {"sobel(isotropic, charbonnier)", "sobel(isotropic)"},
    {"sobel(isotropic, l1)", "sobel(l1, isotropic)"},
    {"sobel(mse, padding=replicate)", "sobel(l2, border=replicate)"},
    {"sobel(border=zero)", "sobel"},
    {"laplacian(neighbours=8)", "laplacian(neighbours=8)"},
    {"laplacian(neighbours=4)", "laplacian"},
    {"tv(anisotropic)", "tv"},
    {"tv(squared)", "tv(l2)"},
    {"tv(isotropic, eps=1e-4)", "tv(eps=0.0001, isotropic)"},
    {"tv(own_counts, reduction=spatial)", "tv(own_counts, reduction=spatial)"},
    {"tv(l2, root)", "tv(root)"},
    {"tv(isotropic, mean_of_images)", "tv(isotropic, mean_of_images)"},
    {"tv(reduction=sum, mean_of_images, squared, root)", "tv(root, mean_of_images, reduction=sum)"},
    {"blur", "blur"},
    {"blur(sigma=1.5, window=11)", "blur"},
    {"blur(sigma=3)", "blur(sigma=3)"},
    {"blur(sigma=3, window=23)", "blur(sigma=3)"},
    {"blur(sigma=3, window=21)", "blur(window=21, sigma=3)"},
    {"rmse(mean_of_images)", "rmse(mean_of_images)"},
    {"psnr(data_range=255, eps=1e-8)", "psnr(eps=1e-08, data_range=255)"},
    {"psnr(eps=0)", "psnr"},
    {"psnr(data_range=auto)", "psnr(data_range=auto)"},
    {"ssim(window=11, sigma=1.5, padding=valid)", "ssim"},
    {"ssim(preset=wang)", "ssim"},
    {"ssim(k1=0)", "ssim(k1=0)"},
    {"ssim(k1=0.01, k2=0.03)", "ssim"},
    {"ssim(k2=-0)", "ssim(k2=0)"},
    {"ssim(alpha=1, beta=0, gamma=0.5)", "ssim(beta=0, gamma=0.5)"},
    {"ssim(data_range=1)", "ssim(data_range=1)"},
    {"ssim(uniform)", "ssim(uniform)"},
    {"ssim(downsample=1)", "ssim"},
    {"ssim(downsample=auto)", "ssim(downsample=auto)"},
    {"ssim(sigma=0.1)", "ssim(sigma=0.1)"},
    {"dssim(window=7, uniform, sample_covariance)", "dssim(window=7, uniform, sample_covariance)"},
    {"dssim(beta=1, gamma=2)", "dssim(gamma=2)"},
    {"ssim(preset=skimage)", "ssim(preset=skimage)"},
    {"ssim(preset=skimage, uniform, sample_covariance, window=7)", "ssim(preset=skimage)"},
    {"ssim(preset=skimage, sigma=1.5)", "ssim(preset=skimage, sigma=1.5)"},
    {"ssim(preset=skimage, sigma=1.5, window=11)", "ssim(preset=skimage, sigma=1.5)"},
    {"ssim(preset=skimage, sigma=1.5, window=7)", "ssim(preset=skimage, window=7, sigma=1.5)"},
    {"ssim(preset=torchmetrics)", "ssim(preset=torchmetrics)"},
    {"ssim(preset=torchmetrics, sigma=2.5, window=19)", "ssim(preset=torchmetrics, sigma=2.5)"},
    {"ssim(preset=torchmetrics, data_range=auto)", "ssim(preset=torchmetrics)"},
    {"ssim(preset=fused-ssim, border=zero)", "ssim(preset=fused-ssim)"},
    {"ssim(preset=vmaf)", "ssim(preset=vmaf)"},
    {"ssim(preset=vmaf, downsample=1)", "ssim"},
    {"ssim(preset=piq, downsample=2)", "ssim(downsample=2)"},
    {"structure(preset=kornia, reduction=sum)", "structure(preset=kornia, reduction=sum)"},
    {"ssim(window=1.1e1)", "ssim"},
};

TEST(LossName, IsCanonicalAndParsesBack) {
    for (const NameCase &c : names) {
        EXPECT_EQ(name_of(c.expression), c.name);
        EXPECT_EQ(name_of(c.name), c.name);
    }
}

TEST(LossName, NumbersReadBackExactly) {
    for (double value : {0.1, 1.0 / 3, 1e-17, 123456789.123456789, std::nextafter(0.5, 1), 5e-324, 1.7976931348623157e308}) {
        pxl_term term = make(PXL_PIXEL, [&](pxl_term &t) { t.penalty = PXL_HUBER, t.penalty_param = value; });
        const std::string name = name_of(term), prefix = "huber(delta=";
        ASSERT_EQ(name.compare(0, prefix.size(), prefix), 0) << name;
        EXPECT_EQ(std::strtod(name.c_str() + prefix.size(), nullptr), value) << name;
        EXPECT_EQ(name_of(name), name);
    }
}

TEST(LossName, TheLongestFits) {
    const double long_number = 1.2345678901234567e-105;
    pxl_term term = make(PXL_SSIM, [&](pxl_term &t) {
        t.k1 = t.k2 = t.data_range = t.alpha = t.beta = t.gamma = t.sigma = long_number;
        t.sigma_x = 2 * long_number, t.window_x = 35;
        t.preset = "torchmetrics", t.border = PXL_REPLICATE, t.reduction = PXL_SPATIAL, t.window = 33;
        t.sample_covariance = 1, t.downsample = std::numeric_limits<int>::max();
    });
    const std::string name = name_of(term);
    EXPECT_EQ(name.back(), ')') << name;
    EXPECT_NE(name.find("reduction=spatial)"), std::string::npos) << name;
    EXPECT_EQ(name_of(name), name);
}

TEST(LossName, ExactZero) {
    EXPECT_EQ(name_of(make(PXL_SSIM, [](pxl_term &t) { t.k1 = PXL_EXACT_ZERO, t.gamma = PXL_EXACT_ZERO; })),
              "ssim(k1=0, gamma=0)");
}

TEST(Presets, AreListedAndParse) {
    const char *expected[] = {"wang",   "vainf",      "skimage", "tf",    "torchmetrics", "piq",
                              "kornia", "fused-ssim", "seed",    "monai", "vmaf"};
    size_t count = 0;
    for (; pxl_preset_name(count); count++) {
        ASSERT_LT(count, std::size(expected));
        EXPECT_STREQ(pxl_preset_name(count), expected[count]);
        EXPECT_TRUE(parse(std::string("contrast(preset=") + pxl_preset_name(count) + ")"));
        EXPECT_FALSE(name_of(make(PXL_DSSIM, [&](pxl_term &t) { t.preset = pxl_preset_name(count); })).empty());
    }
    EXPECT_EQ(count, std::size(expected));
    EXPECT_EQ(pxl_preset_name(std::numeric_limits<size_t>::max()), nullptr);
}

struct ErrorCase {
    const char *expression;
    pxl_status status;
    const char *text;
};

const ErrorCase errors[] = {
    {"", PXL_SYNTAX_ERROR, "column 1: expected the name of a term, found the end of the expression"},
    {"   ", PXL_SYNTAX_ERROR, "column 4: expected the name of a term, found the end"},
    {"0.84 * sssim", PXL_SYNTAX_ERROR, "column 8: unknown term 'sssim'; did you mean 'ssim'?"},
    {"SSIM", PXL_SYNTAX_ERROR, "column 1: unknown term 'SSIM'; did you mean 'ssim'?"},
    {"squared", PXL_SYNTAX_ERROR, "column 1: unknown term 'squared'"},
    {"isotropic", PXL_SYNTAX_ERROR, "column 1: unknown term 'isotropic'"},
    {"l1 ssim", PXL_SYNTAX_ERROR, "column 4: expected '+', '-' or the end, found 'ssim'"},
    {"l1 + ", PXL_SYNTAX_ERROR, "column 6: expected the name of a term, found the end"},
    {"l1 ++ mse", PXL_SYNTAX_ERROR, "column 5: expected the name of a term, found '+'"},
    {"--l1", PXL_SYNTAX_ERROR, "column 2: expected the name of a term, found '-'"},
    {"+l1", PXL_SYNTAX_ERROR, "column 1: expected the name of a term, found '+'"},
    {"ssim*2", PXL_SYNTAX_ERROR, "column 5: expected '+', '-' or the end, found '*'"},
    {"2 ssim", PXL_SYNTAX_ERROR, "column 3: expected '*' and a term after the number, found 'ssim'"},
    {"2", PXL_SYNTAX_ERROR, "column 2: expected '*' and a term after the number, found the end"},
    {"2*3*l1", PXL_SYNTAX_ERROR, "column 3: expected the name of a term, found '3'"},
    {"0x10*l1", PXL_SYNTAX_ERROR, "column 2: expected '*' and a term after the number, found 'x10'"},
    {"nan*l1", PXL_SYNTAX_ERROR, "column 1: unknown term 'nan'"},
    {"inf*l1", PXL_SYNTAX_ERROR, "column 1: unknown term 'inf'"},
    {".*l1", PXL_SYNTAX_ERROR, "column 1: expected the name of a term, found '.'"},
    {"1e*l1", PXL_SYNTAX_ERROR, "column 2: expected '*' and a term after the number, found 'e'"},
    {"1,5*l1", PXL_SYNTAX_ERROR, "column 2: expected '*' and a term after the number, found ','"},
    {"(l1)", PXL_SYNTAX_ERROR, "column 1: expected the name of a term, found '('"},
    {"l1 \xc3\xa4", PXL_SYNTAX_ERROR, "column 4: expected '+', '-' or the end, found the byte 0xc3"},
    {"1e999*l1", PXL_INVALID_ARGUMENT, "column 1: 1e999 is beyond the largest double"},
    {"ssim(", PXL_SYNTAX_ERROR, "column 6: expected an argument, found the end"},
    {"ssim()", PXL_SYNTAX_ERROR, "column 6: expected an argument, found ')'"},
    {"ssim(window=7", PXL_SYNTAX_ERROR, "column 14: expected ',' or ')', found the end"},
    {"ssim(window=7,)", PXL_SYNTAX_ERROR, "column 15: expected an argument, found ')'"},
    {"ssim(window=7))", PXL_SYNTAX_ERROR, "column 15: expected '+', '-' or the end, found ')'"},
    {"ssim(window 7)", PXL_SYNTAX_ERROR, "column 13: expected '=' and a value, found '7'"},
    {"ssim(window=)", PXL_SYNTAX_ERROR, "column 13: expected a number, found ')'"},
    {"ssim(window=seven)", PXL_SYNTAX_ERROR, "column 13: expected a number, found 'seven'"},
    {"ssim(k1=nan)", PXL_SYNTAX_ERROR, "column 9: expected a number, found 'nan'"},
    {"ssim(k1=0x1)", PXL_SYNTAX_ERROR, "column 10: expected ',' or ')', found 'x1'"},
    {"ssim(sigm=2)", PXL_SYNTAX_ERROR, "column 6: ssim has no argument 'sigm'; did you mean 'sigma'? It takes preset, border"},
    {"mse(sigma=2)", PXL_SYNTAX_ERROR, "column 5: mse has no argument 'sigma'; it takes reduction"},
    {"mse(l1)", PXL_SYNTAX_ERROR, "column 5: mse has no argument 'l1'"},
    {"huber(eps=2)", PXL_SYNTAX_ERROR, "column 7: huber has no argument 'eps'; it takes delta, reduction"},
    {"contrast(alpha=2)", PXL_SYNTAX_ERROR, "column 10: contrast has no argument 'alpha'"},
    {"ssim(l1)", PXL_SYNTAX_ERROR, "column 6: ssim has no argument 'l1'"},
    {"tv(border=zero)", PXL_SYNTAX_ERROR, "column 4: tv has no argument 'border'"},
    {"psnr(delta=1)", PXL_SYNTAX_ERROR, "column 6: psnr has no argument 'delta'; it takes"},
    {"rmse(data_range=1)", PXL_SYNTAX_ERROR, "column 6: rmse has no argument 'data_range'"},
    {"sobel(eps=1e-3)", PXL_SYNTAX_ERROR, "column 7: the penalty l1 has no eps"},
    {"sobel(delta=1, charbonnier)", PXL_SYNTAX_ERROR, "column 7: the penalty charbonnier has no delta; it has eps"},
    {"ssim(window=7, window=7)", PXL_SYNTAX_ERROR, "column 16: 'window' repeats or contradicts the argument in column 6"},
    {"ssim(border=zero, padding=zero)", PXL_SYNTAX_ERROR, "column 19: 'padding' repeats or contradicts the argument in column 6"},
    {"tv(isotropic, anisotropic)", PXL_SYNTAX_ERROR, "column 15: 'anisotropic' repeats or contradicts the argument in column 4"},
    {"sobel(l1, huber)", PXL_SYNTAX_ERROR, "column 11: 'huber' repeats or contradicts the argument in column 7"},
    {"ssim(uniform=1)", PXL_SYNTAX_ERROR, "column 13: 'uniform' stands alone, without a value"},
    {"sobel(l1=1)", PXL_SYNTAX_ERROR, "column 9: 'l1' stands alone, without a value"},
    {"ssim(border=valit)", PXL_SYNTAX_ERROR, "column 13: unknown border 'valit'; did you mean 'valid'?"},
    {"ssim(border=1)", PXL_SYNTAX_ERROR, "column 13: expected border, found '1'"},
    {"l1(reduction=average)", PXL_SYNTAX_ERROR, "column 14: unknown reduction 'average'"},
    {"ssim(preset=fused_ssim)", PXL_SYNTAX_ERROR, "column 13: unknown preset 'fused_ssim'; did you mean 'fused-ssim'?"},
    {"ssim(data_range=data)", PXL_SYNTAX_ERROR, "column 17: expected a number or auto, found 'data'"},
    {"ssim(sigma=auto)", PXL_SYNTAX_ERROR, "column 12: expected a number, found 'auto'"},
    {"l1 + enl(x=1)", PXL_UNSUPPORTED, "column 6: enl is not in this version"},
    {"ssim(window=4)", PXL_INVALID_ARGUMENT, "column 6: window is 4; an odd number from 3 to 65 is needed"},
    {"ssim(window=67)", PXL_INVALID_ARGUMENT, "column 6: window is 67"},
    {"ssim(window=1)", PXL_INVALID_ARGUMENT, "column 6: window is 1"},
    {"ssim(window=0)", PXL_INVALID_ARGUMENT, "column 13: window is 0; a number above 0 is needed"},
    {"ssim(window=7.5)", PXL_INVALID_ARGUMENT, "column 13: window is 7.5; a whole number"},
    {"ssim(window=1e10)", PXL_INVALID_ARGUMENT, "column 13: window is 1e+10; a whole number"},
    {"blur(window=1025)", PXL_INVALID_ARGUMENT, "column 6: window is 1025; an odd number from 3 to 1023 is needed"},
    {"ssim(sigma=0)", PXL_INVALID_ARGUMENT, "column 12: sigma is 0; a number above 0 is needed"},
    {"ssim(sigma=-1.5)", PXL_INVALID_ARGUMENT, "column 12: sigma is -1.5"},
    {"ssim(preset=torchmetrics, sigma=10)", PXL_INVALID_ARGUMENT, "column 27: sigma is 10, which takes 71 taps"},
    {"blur(sigma=1000)", PXL_INVALID_ARGUMENT, "column 6: sigma is 1000, which takes 7001 taps"},
    {"ssim(uniform, sigma=2)", PXL_INVALID_ARGUMENT, "column 15: sigma is 2, but a uniform window has no sigma"},
    {"ssim(k1=1e16)", PXL_INVALID_ARGUMENT, "column 6: k1 is 1e+16; at most 1e+15 is taken"},
    {"ssim(k1=-0.1)", PXL_INVALID_ARGUMENT, "column 9: k1 is -0.1; a number of at least 0 is needed"},
    {"ssim(data_range=-1)", PXL_INVALID_ARGUMENT, "column 17: data_range is -1; a number above 0 is needed, or auto"},
    {"psnr(data_range=0)", PXL_INVALID_ARGUMENT, "column 17: data_range is 0; a number above 0 is needed, or auto"},
    {"psnr(eps=-1)", PXL_INVALID_ARGUMENT, "column 10: eps is -1; a number of at least 0 is needed"},
    {"ssim(downsample=-1)", PXL_INVALID_ARGUMENT, "column 17: downsample is -1; a number above 0 is needed, or auto"},
    {"huber(delta=0)", PXL_INVALID_ARGUMENT, "column 13: delta is 0; a number above 0 is needed"},
    {"laplacian(neighbours=5)", PXL_INVALID_ARGUMENT, "column 11: neighbours is 5; 4 or 8 is needed"},
    {"laplacian(neighbours=0)", PXL_INVALID_ARGUMENT, "column 22: neighbours is 0"},
    {"tv(root, l1)", PXL_INVALID_ARGUMENT, "column 4: root does not go with the penalty l1: it is the root of squares, l2"},
    {"tv(isotropic, root)", PXL_INVALID_ARGUMENT, "column 15: root does not go with isotropic"},
    {"sobel(root)", PXL_SYNTAX_ERROR, "column 7: sobel has no argument 'root'"},
    {"tv(own_counts, isotropic)", PXL_INVALID_ARGUMENT, "column 4: own_counts does not go with isotropic"},
    {"tv(own_counts, reduction=sum)", PXL_INVALID_ARGUMENT, "column 4: own_counts does not go with reduction = sum"},
};

TEST(LossParse, ErrorsNameTheColumn) {
    for (const ErrorCase &c : errors) expect_refused(c.expression, c.status, c.text);
}

TEST(LossParse, OnlyWhatIsNearIsProposed) {
    for (const char *expression : {"foo", "ssim(preset=nonesuch)", "ssim(border=xyz)", "psnr(delta=1)"}) {
        pxl_loss *loss = untouched;
        EXPECT_EQ(pxl_loss_parse(expression, nullptr, &loss), PXL_SYNTAX_ERROR);
        EXPECT_EQ(std::string(pxl_error_message()).find("did you mean"), std::string::npos) << pxl_error_message();
    }
}

TEST(LossParse, NullArguments) {
    pxl_loss *loss = untouched;
    EXPECT_EQ(pxl_loss_parse(nullptr, nullptr, &loss), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(loss, untouched);
    EXPECT_EQ(pxl_loss_parse("l1", nullptr, nullptr), PXL_INVALID_ARGUMENT);
}

TEST(LossParse, LongInputIsSafe) {
    std::string many = "l1";
    for (int i = 1; i < 32; i++) many += "+l1";
    EXPECT_EQ(pxl_loss_term_count(parse(many).get()), 32u);
    expect_refused(many + "+l1", PXL_INVALID_ARGUMENT, "column 97: more than 32 terms");
    expect_refused(std::string(100000, '('), PXL_SYNTAX_ERROR, "column 1: ");
    expect_refused(std::string(100000, '-'), PXL_SYNTAX_ERROR, "column 2: ");
    expect_refused(std::string(100000, 'a'), PXL_SYNTAX_ERROR, "column 1: unknown term 'aaaa");
    expect_refused(std::string(100000, ' '), PXL_SYNTAX_ERROR, "column 100001: ");
    expect_refused("l1(" + std::string(100000, 'b'), PXL_SYNTAX_ERROR, "column 4: l1 has no argument 'bbbb");
    expect_refused("ssim(preset=" + std::string(100000, 'c'), PXL_SYNTAX_ERROR, "column 13: unknown preset 'cccc");
    expect_refused(std::string(64, '1') + "*l1", PXL_SYNTAX_ERROR, "column 1: a number of 64 characters; at most 63");
    EXPECT_EQ(pxl_loss_term_weight(parse(std::string(63, '0') + "*l1").get(), 0), 0);
}

// A log keeps its lines and a terminal its colours, whatever stands in the text that a message quotes.
TEST(LossParse, MessagesAreOneLineWithoutControlCharacters) {
    pxl_loss *loss = nullptr;
    EXPECT_EQ(pxl_loss_parse("features(net=a\x1b[31m\x7f\x01)", nullptr, &loss), PXL_INVALID_ARGUMENT);
    EXPECT_NE(std::string(pxl_error_message()).find("\"a?[31m??\""), std::string::npos) << pxl_error_message();
    pxl_term term = make(PXL_FEATURES);
    term.net = "first line\nsecond\tline";
    EXPECT_EQ(pxl_loss_create(&term, 1, &loss), PXL_INVALID_ARGUMENT);
    EXPECT_NE(std::string(pxl_error_message()).find("first line?second?line"), std::string::npos) << pxl_error_message();
}

TEST(LossParse, SuccessLeavesTheMessageAlone) {
    expect_refused("nothing", PXL_SYNTAX_ERROR, "nothing");
    const std::string before = pxl_error_message();
    parse("ssim(preset=skimage, sigma=1.5, window=11) + sobel(huber, delta=0.1)");
    EXPECT_EQ(pxl_error_message(), before);
}

TEST(LossCreate, CountsAndPointers) {
    std::vector<pxl_term> terms(33, PXL_TERM(PXL_PIXEL, 1));
    pxl_loss *loss = untouched;
    EXPECT_EQ(pxl_loss_create(terms.data(), 0, &loss), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_loss_create(terms.data(), 33, &loss), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_loss_create(nullptr, 1, &loss), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_loss_create(terms.data(), 1, nullptr), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(loss, untouched);
    ASSERT_EQ(pxl_loss_create(terms.data(), 32, &loss), PXL_OK);
    EXPECT_EQ(pxl_loss_term_count(loss), 32u);
    pxl_loss_destroy(loss);
}

TEST(LossCreate, RefusesTheTermItself) {
    const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.struct_size = 0; }), "terms[1].struct_size is 0");
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.struct_size--; }), "terms[1].struct_size is ");
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.struct_size += 8; }), "terms[1].struct_size is ");
    expect_refused(make(static_cast<pxl_term_kind>(9)), "terms[1].kind is 9");
    expect_refused(make(PXL_SSIM, [&](pxl_term &t) { t.weight = nan; }), "terms[1].weight is nan");
    expect_refused(make(PXL_SSIM, [&](pxl_term &t) { t.weight = -inf; }), "terms[1].weight is -inf");
    expect_refused(make(PXL_ENL), "terms[1] is of kind enl, which is not in this version", PXL_UNSUPPORTED);
}

TEST(LossCreate, RefusesValues) {
    const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
    double pxl_term::*const numbers[] = {&pxl_term::sigma, &pxl_term::k1,   &pxl_term::k2,   &pxl_term::data_range,
                                         &pxl_term::alpha, &pxl_term::beta, &pxl_term::gamma};
    for (auto member : numbers)
        for (double bad : {nan, inf, -inf, -0.5})
            expect_refused(make(PXL_SSIM, [&](pxl_term &t) { t.*member = bad; }), "a finite number above 0 is needed");
    for (double bad : {nan, inf, -1.0}) {
        expect_refused(make(PXL_PIXEL, [&](pxl_term &t) { t.penalty = PXL_HUBER, t.penalty_param = bad; }),
                       "terms[1].penalty_param is ");
        expect_refused(make(PXL_PSNR, [&](pxl_term &t) { t.penalty_param = bad; }), "terms[1].penalty_param is ");
    }
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.window = 10; }), "terms[1].window is 10");
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.window = -3; }), "terms[1].window is -3");
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.downsample = -2; }), "terms[1].downsample is -2");
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.preset = "torchmetric"; }), "did you mean 'torchmetrics'?");
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.preset = ""; }), "terms[1].preset is \"\"");
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.uniform = 2; }), "terms[1].uniform is 2; 0 or 1");
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.sample_covariance = -1; }), "terms[1].sample_covariance is -1; 0 or 1");
    expect_refused(make(PXL_LAPLACIAN, [](pxl_term &t) { t.neighbours = 6; }), "terms[1].neighbours is 6; 4 or 8");
}

TEST(LossCreate, RefusesUnknownEnums) {
    pxl_term term = PXL_TERM(PXL_SOBEL, 1);
    const int bad = 9;
    std::memcpy(&term.border, &bad, sizeof bad);
    expect_refused(term, "terms[1].border is 9");
    term = PXL_TERM(PXL_SOBEL, 1);
    std::memcpy(&term.penalty, &bad, sizeof bad);
    expect_refused(term, "terms[1].penalty is 9");
    term = PXL_TERM(PXL_SOBEL, 1);
    std::memcpy(&term.reduction, &bad, sizeof bad);
    expect_refused(term, "terms[1].reduction is 9");
}

TEST(LossCreate, RefusesFieldsThatAKindDoesNotUse) {
    expect_refused(make(PXL_PIXEL, [](pxl_term &t) { t.sigma = 1.5; }), "terms[1].sigma is 1.5, but pixel has no sigma");
    expect_refused(make(PXL_PIXEL, [](pxl_term &t) { t.preset = "wang"; }),
                   "terms[1].preset is \"wang\", but pixel has no preset");
    expect_refused(make(PXL_TV, [](pxl_term &t) { t.border = PXL_ZERO; }), "terms[1].border is 2, but tv has no border");
    expect_refused(make(PXL_PIXEL, [](pxl_term &t) { t.isotropic = 1; }), "but pixel has no isotropic");
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.penalty = PXL_L1; }), "but ssim has no penalty");
    expect_refused(make(PXL_CONTRAST, [](pxl_term &t) { t.gamma = 1; }), "but contrast has no gamma");
    expect_refused(make(PXL_RMSE, [](pxl_term &t) { t.reduction = PXL_SUM; }), "but rmse has no reduction");
    expect_refused(make(PXL_SOBEL, [](pxl_term &t) { t.window = 3; }), "but sobel has no window");
    expect_refused(make(PXL_SOBEL, [](pxl_term &t) { t.penalty_param = 3; }), "but the penalty l1 has no parameter");
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.uniform = 1, t.sigma = 2; }), "but a uniform window has no sigma");
}

TEST(LossCreate, SigmaThatTakesTooManyTaps) {
    expect_refused(make(PXL_SSIM, [](pxl_term &t) { t.preset = "skimage", t.sigma = 20; }),
                   "terms[1].sigma is 20, which takes 141 taps");
    expect_refused(make(PXL_BLUR, [](pxl_term &t) { t.sigma = 1e300; }), "terms[1].sigma is 1e+300");
    EXPECT_EQ(name_of(make(PXL_SSIM, [](pxl_term &t) { t.sigma = 20; })), "ssim(sigma=20)");
    EXPECT_EQ(name_of(make(PXL_BLUR, [](pxl_term &t) { t.sigma = 1e300, t.window = 5; })), "blur(window=5, sigma=1e+300)");
}

TEST(Status, NamesAndVersion) {
    const struct {
        pxl_status status;
        const char *name;
    } all[] = {{PXL_OK, "PXL_OK"},
               {PXL_INVALID_ARGUMENT, "PXL_INVALID_ARGUMENT"},
               {PXL_SYNTAX_ERROR, "PXL_SYNTAX_ERROR"},
               {PXL_UNSUPPORTED, "PXL_UNSUPPORTED"},
               {PXL_WORKSPACE_TOO_SMALL, "PXL_WORKSPACE_TOO_SMALL"},
               {PXL_OUT_OF_MEMORY, "PXL_OUT_OF_MEMORY"},
               {PXL_IO_ERROR, "PXL_IO_ERROR"},
               {PXL_DEVICE_ERROR, "PXL_DEVICE_ERROR"}};
    for (const auto &one : all) EXPECT_STREQ(pxl_status_name(one.status), one.name);
    int major, minor, patch;
    EXPECT_EQ(std::sscanf(pxl_version(), "%d.%d.%d", &major, &minor, &patch), 3);
}

} // namespace
