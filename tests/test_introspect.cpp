// What introspect.h tells, held to what expressions take and to what the compiler lays out.
#include <gtest/gtest.h>

#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "pixloss/introspect.h"

namespace {

using LossPtr = std::unique_ptr<pxl_loss, decltype(&pxl_loss_destroy)>;

std::map<std::string, int> words_of(const char *enumeration) {
    std::map<std::string, int> words;
    int value = -1;
    for (size_t i = 0; const char *word = pxl_enum_word(enumeration, i, &value); i++) words[word] = value;
    return words;
}

std::vector<pxl_field_info> fields_of(pxl_term_kind kind, pxl_penalty penalty = PXL_PENALTY_DEFAULT) {
    std::vector<pxl_field_info> fields(pxl_field_count(kind, penalty), PXL_FIELD_INFO());
    for (size_t i = 0; i < fields.size(); i++)
        EXPECT_EQ(pxl_field_describe(kind, penalty, i, &fields[i]), PXL_OK) << pxl_error_message();
    return fields;
}

pxl_field_info field_of(pxl_term_kind kind, const std::string &name, pxl_penalty penalty = PXL_PENALTY_DEFAULT) {
    for (const pxl_field_info &field : fields_of(kind, penalty))
        if (field.name == name) return field;
    ADD_FAILURE() << "kind " << kind << " has no " << name;
    return PXL_FIELD_INFO();
}

// Terms in a network are tried in a small one, the only one of its context.
pxl_context *with_network() {
    static const std::unique_ptr<pxl_context, decltype(&pxl_context_destroy)> owner = [] {
        pxl_context *context = nullptr;
        pxl_network *network = nullptr;
        EXPECT_EQ(pxl_context_create(PXL_CPU_DEVICE, 1, &context), PXL_OK);
        EXPECT_EQ(pxl_network_random("3:2,2,M,2,2,M,2,2,2", 1, &network), PXL_OK);
        EXPECT_EQ(pxl_context_add_network(context, "small", network), PXL_OK);
        pxl_network_destroy(network);
        return std::unique_ptr<pxl_context, decltype(&pxl_context_destroy)>(context, pxl_context_destroy);
    }();
    return owner.get();
}

std::string name_after(pxl_status *status, const std::string &expression) {
    pxl_loss *made = nullptr;
    *status = pxl_loss_parse(expression.c_str(), with_network(), &made);
    const LossPtr loss(made, pxl_loss_destroy);
    return loss ? pxl_loss_term_name(loss.get(), 0) : pxl_error_message();
}

std::string number(double value) {
    char text[64];
    snprintf(text, sizeof text, "%.17g", value);
    return text;
}

const std::set<std::string> enumerations = {"pxl_term_kind",   "pxl_penalty",     "pxl_reduction",   "pxl_normalize",
                                            "pxl_precision",   "pxl_clamp",       "pxl_border",      "pxl_dtype",
                                            "pxl_device_type", "pxl_filter_kind", "pxl_reduce_kind", "pxl_reduce_over"};

} // namespace

TEST(Introspection, WordsStandForTheirConstants) {
    EXPECT_EQ(words_of("pxl_dtype"),
              (std::map<std::string, int>{
                  {"f32", PXL_F32}, {"f16", PXL_F16}, {"bf16", PXL_BF16}, {"f64", PXL_F64}, {"u8", PXL_U8}, {"u16", PXL_U16}}));
    EXPECT_EQ(words_of("pxl_border"), (std::map<std::string, int>{{"valid", PXL_VALID},
                                                                  {"zero", PXL_ZERO},
                                                                  {"reflect", PXL_REFLECT},
                                                                  {"replicate", PXL_REPLICATE},
                                                                  {"symmetric", PXL_SYMMETRIC}}));
    EXPECT_EQ(words_of("pxl_filter_kind"), (std::map<std::string, int>{{"sobel", PXL_FILTER_SOBEL},
                                                                       {"laplacian", PXL_FILTER_LAPLACIAN},
                                                                       {"blur", PXL_FILTER_BLUR},
                                                                       {"box", PXL_FILTER_BOX}}));
    EXPECT_EQ(words_of("pxl_reduce_kind"), (std::map<std::string, int>{{"sum", PXL_REDUCE_SUM},
                                                                       {"mean", PXL_REDUCE_MEAN},
                                                                       {"min", PXL_REDUCE_MIN},
                                                                       {"max", PXL_REDUCE_MAX},
                                                                       {"l1", PXL_REDUCE_L1},
                                                                       {"l2", PXL_REDUCE_L2}}));
    EXPECT_EQ(words_of("pxl_reduce_over"),
              (std::map<std::string, int>{{"all", PXL_OVER_ALL}, {"image", PXL_OVER_IMAGE}, {"channel", PXL_OVER_CHANNEL}}));
    EXPECT_EQ(words_of("pxl_device_type"), (std::map<std::string, int>{{"cpu", PXL_CPU}, {"cuda", PXL_CUDA}}));
    EXPECT_EQ(words_of("pxl_penalty")["charbonnier"], PXL_CHARBONNIER);
    EXPECT_EQ(words_of("pxl_clamp")["simple"], PXL_CLAMP_SIMPLE);
    EXPECT_EQ(words_of("pxl_reduction")["mean"], PXL_MEAN);
    EXPECT_EQ(words_of("pxl_term_kind")["ms_ssim"], PXL_MS_SSIM);
    EXPECT_FALSE(words_of("pxl_term_kind").count("enl"));
    for (const std::string &name : enumerations) EXPECT_GE(words_of(name.c_str()).size(), 2u) << name;
    int untouched = 77;
    EXPECT_EQ(pxl_enum_word("pxl_colour", 0, &untouched), nullptr);
    EXPECT_EQ(pxl_enum_word("pxl_dtype", 6, &untouched), nullptr);
    EXPECT_EQ(pxl_enum_word(nullptr, 0, &untouched), nullptr);
    EXPECT_EQ(untouched, 77);
    EXPECT_STREQ(pxl_enum_word("pxl_dtype", 0, nullptr), "f32");
}

// What may be written for a field, and whether it is taken: its ends are, one step past them and what lies between steps are not.
std::vector<std::pair<std::string, bool>> arguments_of(const pxl_field_info &field) {
    const std::string name = field.name;
    std::vector<std::pair<std::string, bool>> arguments;
    if (field.type == PXL_FIELD_FLAG) arguments.push_back({name, true});
    if (field.type == PXL_FIELD_WORD)
        for (const auto &[word, constant] : words_of(field.enumeration)) {
            EXPECT_TRUE(constant >= field.low && constant <= field.high) << name << "=" << word;
            arguments.push_back({name + "=" + word, true});
        }
    if (field.type != PXL_FIELD_INTEGER && field.type != PXL_FIELD_NUMBER) return arguments;
    const bool scales = name == "scales"; // no more than there are weights
    arguments.push_back({name + "=" + number(field.low == DBL_TRUE_MIN ? 0 : field.low), field.low != DBL_TRUE_MIN});
    if (field.high < INT_MAX && !scales) arguments.push_back({name + "=" + number(field.high), true});
    if (field.high < INT_MAX)
        arguments.push_back({name + "=" + number(field.high + std::max(field.step, field.high / 4)), false});
    if (field.step > 1) arguments.push_back({name + "=" + number(field.low + 1), false});
    arguments.push_back({name + "=auto", field.automatic == 1});
    const std::string taken = scales ? "1" : number(field.step == 0 ? 0.5 : field.low);
    arguments.push_back({name + "=" + taken + ":" + taken, field.member_x != nullptr});
    return arguments;
}

// Every kind, penalty and field, written into an expression.
TEST(Introspection, FieldsAreThoseOfExpressions) {
    int tried = 0;
    std::map<std::string, int> penalties = words_of("pxl_penalty");
    penalties[""] = PXL_PENALTY_DEFAULT;
    for (const auto &[kind, value] : words_of("pxl_term_kind"))
        for (const auto &[word, penalty] : penalties)
            for (const pxl_field_info &field : fields_of(pxl_term_kind(value), pxl_penalty(penalty))) {
                if (field.type == PXL_FIELD_TEXT || field.member == std::string("penalty")) continue;
                for (const auto &[argument, taken] : arguments_of(field)) {
                    pxl_status status;
                    const std::string expression = kind + "(" + word + (word.empty() ? "" : ", ") + argument + ")";
                    const std::string said = name_after(&status, expression);
                    EXPECT_EQ(status == PXL_OK, taken) << expression << ": " << said;
                    tried++;
                }
            }
    EXPECT_GT(tried, 500);
}

// Given by its number, a default leaves the term's name without it, which names what differs.
TEST(Introspection, DefaultsAreThoseOfTerms) {
    int tried = 0;
    for (const auto &[kind, value] : words_of("pxl_term_kind"))
        for (const pxl_field_info &field : fields_of(pxl_term_kind(value))) {
            if (std::isnan(field.standard) || (value >= PXL_FEATURES && value <= PXL_COSINE)) continue;
            pxl_term plain = PXL_TERM(pxl_term_kind(value), 1), term = plain;
            char *member = reinterpret_cast<char *>(&term) + field.offset;
            if (field.type == PXL_FIELD_NUMBER)
                *reinterpret_cast<double *>(member) = field.standard;
            else
                *reinterpret_cast<int *>(member) = int(field.standard);
            pxl_loss *made[2] = {nullptr, nullptr};
            ASSERT_EQ(pxl_loss_create(&plain, 1, &made[0]), PXL_OK);
            ASSERT_EQ(pxl_loss_create(&term, 1, &made[1]), PXL_OK) << kind << "." << field.member << ": " << pxl_error_message();
            const LossPtr owners[2] = {{made[0], pxl_loss_destroy}, {made[1], pxl_loss_destroy}};
            std::string name = pxl_loss_term_name(made[1], 0);
            if (field.member == std::string("penalty_param")) name = name.substr(0, name.find('(')); // always named once given
            EXPECT_EQ(name, pxl_loss_term_name(made[0], 0)) << field.member;
            tried++;
        }
    EXPECT_GT(tried, 80);
}

TEST(Introspection, FieldsDependOnKindAndPenalty) {
    EXPECT_EQ(field_of(PXL_SSIM, "window").standard, 11);
    EXPECT_EQ(field_of(PXL_SSIM, "window").high, 65);
    EXPECT_EQ(field_of(PXL_SSIM, "window").step, 2);
    EXPECT_EQ(field_of(PXL_BLUR, "window").high, 1023);
    EXPECT_EQ(field_of(PXL_SSIM, "window").member_x, std::string("window_x"));
    EXPECT_EQ(field_of(PXL_SSIM, "window").offset_x, offsetof(pxl_term, window_x));
    EXPECT_EQ(field_of(PXL_BLUR, "sigma").member_x, std::string("sigma_x"));
    EXPECT_EQ(field_of(PXL_BLUR, "sigma").offset_x, offsetof(pxl_term, sigma_x));
    EXPECT_EQ(field_of(PXL_SSIM, "k1").member_x, nullptr);
    EXPECT_EQ(field_of(PXL_SSIM, "k2").standard, 0.03);
    EXPECT_EQ(field_of(PXL_SSIM, "k2").high, 1e15);
    EXPECT_EQ(field_of(PXL_SSIM, "k2").exact_zero, 1);
    EXPECT_EQ(field_of(PXL_SSIM, "alpha").high, 100);
    EXPECT_EQ(field_of(PXL_MS_SSIM, "scales").standard, 5);
    EXPECT_EQ(field_of(PXL_MS_SSIM, "eps").standard, 1e-4);
    EXPECT_LT(field_of(PXL_MS_SSIM, "eps").high, 1);
    EXPECT_EQ(field_of(PXL_PSNR, "eps").low, 0);
    EXPECT_EQ(field_of(PXL_LPIPS, "reduction").enumeration, std::string("pxl_reduction"));
    EXPECT_EQ(field_of(PXL_LAPLACIAN, "neighbours").standard, 4);
    EXPECT_EQ(field_of(PXL_SOBEL, "eps", PXL_CHARBONNIER).standard, 1e-3);
    EXPECT_EQ(field_of(PXL_SOBEL, "delta", PXL_HUBER).member, std::string("penalty_param"));
    EXPECT_EQ(field_of(PXL_SOBEL, "delta", PXL_HUBER).offset, offsetof(pxl_term, penalty_param));
    EXPECT_TRUE(std::isnan(field_of(PXL_SSIM, "data_range").standard));
    EXPECT_EQ(pxl_field_count(PXL_SOBEL, PXL_L1), pxl_field_count(PXL_SOBEL, PXL_HUBER) - 1);
    EXPECT_EQ(pxl_field_count(PXL_SSIM, PXL_L1), 0u); // takes no penalty
    EXPECT_EQ(pxl_field_count(PXL_ENL, PXL_PENALTY_DEFAULT), 0u);
    EXPECT_EQ(pxl_field_count(pxl_term_kind(99), PXL_PENALTY_DEFAULT), 0u);
    EXPECT_STREQ(pxl_penalty_term_name(PXL_L2), "mse");
    EXPECT_EQ(pxl_penalty_term_name(PXL_PENALTY_DEFAULT), nullptr);
    EXPECT_EQ(pxl_penalty_term_name(pxl_penalty(99)), nullptr);
}

TEST(Introspection, PresetsFitTheKindsThatTakeThem) {
    for (const auto &[kind, value] : words_of("pxl_term_kind"))
        for (size_t i = 0; pxl_preset_name(i); i++) {
            pxl_status status;
            const std::string said = name_after(&status, kind + "(preset=" + pxl_preset_name(i) + ")");
            EXPECT_EQ(status == PXL_OK, pxl_preset_fits(i, pxl_term_kind(value)) == 1) << kind << ": " << said;
        }
    EXPECT_EQ(pxl_preset_fits(99, PXL_SSIM), 0);
}

// A term that compares differs for another target; one that does not is the same.
TEST(Introspection, KindsThatCompareReadTheTarget) {
    float images[3][16 * 16];
    for (int i = 0; i < 16 * 16; i++)
        images[0][i] = float(i % 7) / 7, images[1][i] = float(i % 5) / 5, images[2][i] = float(i % 3) / 3;
    for (const auto &[kind, value] : words_of("pxl_term_kind")) {
        if ((value >= PXL_FEATURES && value <= PXL_COSINE) || value == PXL_MS_SSIM) continue;
        pxl_loss *made = nullptr;
        ASSERT_EQ(pxl_loss_parse(kind.c_str(), nullptr, &made), PXL_OK);
        const LossPtr loss(made, pxl_loss_destroy);
        const auto evaluate = [&](float *other) {
            const pxl_tensor pred = pxl_nchw(images[0], PXL_F32, PXL_CPU_DEVICE, 1, 1, 16, 16);
            const pxl_tensor target = pxl_nchw(other, PXL_F32, PXL_CPU_DEVICE, 1, 1, 16, 16);
            pxl_args args = PXL_ARGS(&pred, &target);
            double values[2] = {-1, -1};
            size_t bytes = 0;
            args.values = values;
            EXPECT_EQ(pxl_workspace_size(nullptr, loss.get(), &args, &bytes), PXL_OK) << pxl_error_message();
            std::vector<double> workspace(bytes / sizeof(double) + 3); // aligned to 16 bytes by the allocator
            EXPECT_EQ(pxl_evaluate(nullptr, loss.get(), &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
            return values[1];
        };
        EXPECT_EQ(evaluate(images[1]) != evaluate(images[2]), pxl_kind_compares(pxl_term_kind(value)) == 1) << kind;
    }
    EXPECT_EQ(pxl_kind_compares(pxl_term_kind(99)), 0);
}

TEST(Introspection, RefusesWhatIsNotThere) {
    pxl_field_info field = PXL_FIELD_INFO();
    EXPECT_EQ(pxl_field_describe(PXL_PIXEL, PXL_L1, 99, &field), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_field_describe(PXL_PIXEL, PXL_L1, 0, nullptr), PXL_INVALID_ARGUMENT);
    field.struct_size--;
    EXPECT_EQ(pxl_field_describe(PXL_PIXEL, PXL_L1, 0, &field), PXL_INVALID_ARGUMENT);
    pxl_member_info member;
    EXPECT_EQ(pxl_struct_member("pxl_tensor", 6, &member), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_struct_member("pxl_colour", 0, &member), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_struct_member(nullptr, 0, &member), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_struct_member("pxl_tensor", 0, nullptr), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_struct_size("pxl_colour"), 0u);
    EXPECT_EQ(pxl_struct_size(nullptr), 0u);
}

// A member that was left out would be a gap that alignment does not explain: each type is at least as large as its alignment.
TEST(Introspection, MembersFillTheirStructs) {
    const std::map<std::string, size_t> structs = {{"pxl_device", sizeof(pxl_device)},
                                                   {"pxl_tensor", sizeof(pxl_tensor)},
                                                   {"pxl_args", sizeof(pxl_args)},
                                                   {"pxl_term", sizeof(pxl_term)},
                                                   {"pxl_layer", sizeof(pxl_layer)},
                                                   {"pxl_filter", sizeof(pxl_filter)},
                                                   {"pxl_field_info", sizeof(pxl_field_info)}};
    const auto align = [](size_t offset, size_t to) { return (offset + to - 1) / to * to; };
    for (const auto &[name, bytes] : structs) {
        EXPECT_EQ(pxl_struct_size(name.c_str()), bytes) << name;
        pxl_member_info member;
        size_t end = 0, widest = 1;
        for (size_t i = 0; pxl_struct_member(name.c_str(), i, &member) == PXL_OK; i++) {
            const size_t element = member.bytes / member.count,
                         alignment = member.type == PXL_MEMBER_DEVICE ? sizeof(int) : element;
            EXPECT_EQ(element, member.type == PXL_MEMBER_INT ? sizeof(int) : sizeof(int64_t)) << name << "." << member.name;
            EXPECT_EQ(member.offset, align(end, alignment)) << name << "." << member.name;
            end = member.offset + member.bytes;
            widest = std::max(widest, alignment);
        }
        EXPECT_EQ(align(end, widest), bytes) << name;
    }
}
