// One line for each case and each way to compute it: a hash of every bit of the results. The tests
// judge results; scripts/digest.sh compares the lines of two versions.
#ifndef TESTS_DIGEST_DIGEST_H
#define TESTS_DIGEST_DIGEST_H
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "run_case.h"

// FNV-1a, 64 bits.
class Hash {
  public:
    void add(const void *bytes, size_t count);
    void add(const std::vector<uint8_t> &bytes) { add(bytes.data(), bytes.size()); }
    void add(const std::vector<double> &values) { add(values.data(), values.size() * sizeof(double)); }
    uint64_t value() const { return value_; }
    std::string text() const; // "-" before anything was added

  private:
    uint64_t value_ = 0xCBF29CE484222325u;
    bool empty_ = true;
};

struct Result {
    pxl_status status = PXL_OK;
    bool damaged = false; // bytes outside the outputs were written
    Hash values, images;  // images: gradients and maps
};
void add_outcome(Result &to, const Outcome &outcome);

// Computes its cases in all of tested_ways().
class Digest {
  public:
    void open(const std::string &section) { section_ = section; }
    // `name` contains every condition of the case. A second case of the same name is left out.
    void add(const std::string &name, const std::function<Result(Device &)> &compute);
    void add(const Case &test);
    void add(const std::string &prefix, const Case &test);
    // Changes the inputs that the case draws.
    void add(const std::string &prefix, const Case &test, const std::function<void(oracle::Inputs &)> &change);
    size_t cases() const { return names_.size(); }

  private:
    std::string section_;
    std::set<std::string> names_;
};

// All conditions of a case in one line; the usual ones are left out.
std::string name_of(const Case &test);
std::string name_of(const Shape &shape);
// The same number for the same text on every machine. Cases draw their conditions by it, so they do
// not depend on the cases before them.
uint32_t number_of(const std::string &text);

void add_terms(Digest &digest);      // every term: types, masks, values for each image
void add_shapes(Digest &digest);     // every term: small shapes, the gradients that are wanted
void add_large(Digest &digest);      // every term: images of many tiles and strips
void add_mixes(Digest &digest);      // windowed terms beside others
void add_sampled(Digest &digest);    // conditions drawn at random
void add_maps(Digest &digest);       // maps and statistics of windowed terms
void add_not_finite(Digest &digest); // a NaN or an infinity in an image
void add_filters(Digest &digest);
void add_statistics(Digest &digest);
void add_reductions(Digest &digest);
void add_networks(Digest &digest);
#endif
