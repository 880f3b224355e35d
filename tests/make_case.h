// Shorthand for tests that state a case by hand.
#ifndef TESTS_MAKE_CASE_H
#define TESTS_MAKE_CASE_H
#include "dtype.h"
#include "run_case.h"

// Both gradients and the values of `terms`, all of one type.
inline Case make_case(std::vector<pxl_term> terms, Shape shape, pxl_dtype dtype = PXL_F32) {
    Case test;
    test.terms = std::move(terms);
    test.shape = shape;
    test.dtype = dtype;
    test.mask_dtype = PXL_F32;
    test.grad_dtype = dtype;
    test.grad_pred = test.grad_target = is_floating(dtype);
    test.seed = 11;
    return test;
}

// One term of a preset; nullptr for the default.
inline pxl_term windowed(pxl_term_kind kind, const char *preset = nullptr) {
    pxl_term term = PXL_TERM(kind, 1);
    term.preset = preset;
    return term;
}
inline pxl_term pixel(pxl_penalty penalty) {
    pxl_term term = PXL_TERM(PXL_PIXEL, 1);
    term.penalty = penalty;
    return term;
}
inline pxl_term weighted(double weight, pxl_term term) {
    term.weight = weight;
    return term;
}

// Rounds every element to the type, as storing it in a tensor does.
inline oracle::Image rounded(oracle::Image image, pxl_dtype dtype) {
    for (double &value : image.v) value = round_to(dtype, value);
    return image;
}
#endif
