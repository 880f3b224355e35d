#include "digest.h"

#include <cstdio>
#include <iostream>
#include <sstream>

#include "dtype.h"

void Hash::add(const void *bytes, size_t count) {
    const auto *from = static_cast<const uint8_t *>(bytes);
    for (size_t i = 0; i < count; ++i) value_ = (value_ ^ from[i]) * 0x100000001B3u;
    if (count) empty_ = false;
}

std::string Hash::text() const {
    if (empty_) return "-";
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value_));
    return text;
}

uint32_t number_of(const std::string &text) {
    Hash hash;
    hash.add(text.data(), text.size());
    return static_cast<uint32_t>(hash.value() >> 32 ^ hash.value());
}

void add_outcome(Result &to, const Outcome &outcome) {
    if (outcome.status) to.status = outcome.status;
    if (!outcome.damage.empty()) to.damaged = true;
    to.values.add(outcome.values);
    const std::vector<uint8_t> &bytes = outcome.bits.bytes;
    to.images.add(bytes.data() + outcome.value_bytes, bytes.size() - outcome.value_bytes);
}

namespace {

Result compute_in(const Way &way, const std::function<Result(Device &)> &compute) {
    const UsingWay using_way(way);
    return compute(*way.device);
}

void print(const std::string &name, const Way &way, const Result &result) {
    std::string values = result.values.text();
    std::string images = result.images.text();
    if (result.damaged) values = images = "damaged";
    if (result.status) values = images = pxl_status_name(result.status);
    std::cout << name << '\t' << way.name() << '\t' << values << '\t' << images << '\n';
}

} // namespace

// ---- Cases --------------------------------------------------------------------------------------

void Digest::add(const std::string &name, const std::function<Result(Device &)> &compute) {
    const std::string full = section_ + ": " + name;
    if (!names_.insert(full).second) return;
    for (const Way &way : tested_ways()) print(full, way, compute_in(way, compute));
}

void Digest::add(const Case &test) { add("", test); }

void Digest::add(const std::string &prefix, const Case &test) {
    add(prefix, test, [](oracle::Inputs &) {});
}

void Digest::add(const std::string &prefix, const Case &test, const std::function<void(oracle::Inputs &)> &change) {
    oracle::Inputs inputs = make_inputs(test);
    change(inputs);
    add(prefix + name_of(test), [&](Device &device) {
        Result result;
        add_outcome(result, run(device, test, inputs));
        return result;
    });
}

std::string name_of(const Shape &shape) {
    std::ostringstream text;
    PrintTo(shape, &text);
    return text.str();
}

namespace {

std::string layouts(const Case &test) {
    std::string text = layout_name(test.pred_layout);
    for (const Layout layout : {test.target_layout, test.grad_layout}) text += std::string(",") + layout_name(layout);
    return text == "nchw,nchw,nchw" ? "" : " " + text;
}

std::string mask(const Case &test) {
    static const char *const masks[] = {"none", "binary", "fractional", "repeated", "empty_image"};
    if (test.mask == Mask::none) return "";
    const std::string kind = masks[static_cast<int>(test.mask)];
    return " mask " + kind + ' ' + layout_name(test.mask_layout) + ' ' + dtype_name(test.mask_dtype);
}

std::string outputs(const Case &test) {
    std::string text;
    if (test.values) text += " values";
    if (test.grad_pred) text += " grad_pred";
    if (test.grad_target) text += " grad_target";
    if (test.map) text += " map";
    if (test.statistics) text += " statistics";
    if (test.feature_map) text += " feature_map";
    if (test.pixel_map) text += " pixel_map";
    if (test.grad_dtype != test.dtype) text += std::string(" ") + dtype_name(test.grad_dtype);
    return text;
}

std::string conditions(const Case &test) {
    std::string text;
    if (test.mixed) text += std::string(" target ") + dtype_name(test.other_dtype);
    if (test.accumulate) text += " accumulate";
    if (test.values_f32) text += " values_f32";
    if (test.per_image) text += " per_image";
    if (test.upstream == Upstream::given) text += " grad_loss";
    if (test.own_weights) text += " term_weights";
    if (test.threads != 1) text += " threads " + std::to_string(test.threads);
    if (!test.parsed) text += " created";
    return text;
}

} // namespace

std::string name_of(const Case &test) {
    static const char *const patterns[] = {"independent", "noisy", "smooth", "sparse", "equal_parts"};
    const std::string images = std::string(" ") + dtype_name(test.dtype) + ' ' + patterns[static_cast<int>(test.pattern)];
    return expression(test.terms) + " on " + name_of(test.shape) + images + ' ' + std::to_string(test.seed) + layouts(test) +
           mask(test) + outputs(test) + conditions(test);
}
