// Perceptual terms on small networks. Without oneDNN (or cuDNN) the lines say PXL_UNSUPPORTED.
#include "digest.h"
#include "feature_case.h"

namespace {

constexpr const char *architecture = "3:8,8,M,12,A,16k5";
constexpr uint32_t sampled_seed = 90212;
constexpr int sampled_cases = 60;

Case network_case(std::vector<pxl_term> terms, const Shape &shape, pxl_dtype dtype = PXL_F32) {
    Case test = make_case(std::move(terms), shape, dtype);
    test.parsed = false;
    return test;
}

void add_kinds(Digest &digest) {
    const Model &model = model_of(architecture);
    for (const pxl_term_kind kind : {PXL_FEATURES, PXL_LPIPS, PXL_STYLE, PXL_COSINE})
        for (const pxl_dtype dtype : {PXL_F32, PXL_F64, PXL_F16, PXL_BF16, PXL_U8})
            for (const pxl_precision precision : {PXL_PRECISION_DEFAULT, PXL_PRECISION_F32}) {
                Case test = network_case({in_network(model, kind)}, {2, 3, 17, 14}, dtype);
                test.terms[0].precision = precision;
                test.per_image = dtype == PXL_F16;
                digest.add(test);
                test.feature_map = kind != PXL_STYLE;
                test.grad_target = false;
                digest.add(test);
            }
}

void add_penalties(Digest &digest) {
    const char *const layers[] = {"conv1_1", "relu1_2", "pool1:0.5*conv2_1", "2*relu2_1:pool2", "9:relu1_1:conv3_1"};
    for (int penalty = PXL_L2; penalty <= PXL_CHARBONNIER; ++penalty)
        for (int reduction = PXL_MEAN; reduction <= PXL_SPATIAL; ++reduction)
            for (int unit = 0; unit < 2; ++unit) {
                pxl_term term = in_network(model_of(architecture), PXL_FEATURES, layers[(penalty + reduction + unit) % 5]);
                term.penalty = static_cast<pxl_penalty>(penalty);
                term.penalty_param = penalty > PXL_L1 ? 0.25 : 0;
                term.reduction = static_cast<pxl_reduction>(reduction);
                term.unit = unit;
                digest.add(network_case({term}, {2, 3, 9, 11}));
            }
}

// One call keeps the target's features; the next one reuses them for another prediction.
Result keep(Device &device, Case test) {
    const oracle::Inputs inputs = make_inputs(test);
    test.target_use = PXL_TARGET_KEEP;
    Evaluation call(device, test, inputs);
    Result result;
    result.status = call.prepare();
    if (result.status) return result;
    add_outcome(result, call.outcome(call.evaluate()));
    call.set_target_use(PXL_TARGET_KEPT);
    call.pred().set(inputs.target);
    call.poison_outputs();
    add_outcome(result, call.outcome(call.evaluate()));
    return result;
}

void add_kept_targets(Digest &digest) {
    const Model &model = model_of(architecture);
    for (const pxl_term_kind kind : {PXL_FEATURES, PXL_LPIPS, PXL_STYLE, PXL_COSINE})
        for (const pxl_dtype dtype : {PXL_F32, PXL_F16, PXL_U8}) {
            Case test = network_case({in_network(model, kind), PXL_TERM(PXL_SOBEL, 0.5)}, {2, 3, 13, 16}, dtype);
            test.grad_target = false;
            digest.add("kept target " + name_of(test), [&](Device &device) { return keep(device, test); });
        }
}

} // namespace

void add_networks(Digest &digest) {
    add_kinds(digest);
    add_penalties(digest);
    add_kept_targets(digest);
    std::mt19937 random(sampled_seed);
    for (int i = 0; i < sampled_cases; ++i) digest.add(std::to_string(i) + ' ', random_feature_case(random));
}
