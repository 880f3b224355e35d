// The reader of safetensors files, through its internal header: what it makes of good files, and that it says what is wrong with bad
// ones, whatever their bytes are.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "dtype.h"
#include "network/safetensors.h"

namespace {

struct Close {
    void operator()(pxli_tensors *tensors) const { pxli_tensors_close(tensors); }
};
using Tensors = std::unique_ptr<pxli_tensors, Close>;

std::string little_endian(uint64_t value) {
    std::string bytes;
    for (int i = 0; i < 8; i++) bytes += static_cast<char>(value >> 8 * i & 0xff);
    return bytes;
}
std::string contents(const std::string &header, const std::string &data = "") {
    return little_endian(header.size()) + header + data;
}
// of a header
std::string tensor(const std::string &name, const std::string &dtype, const std::string &shape, int64_t begin, int64_t end) {
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" + std::to_string(begin) +
           "," + std::to_string(end) + "]}";
}
std::string elements(pxl_dtype dtype, const std::vector<double> &values) {
    std::string bytes(values.size() * dtype_bytes(dtype), 0);
    for (size_t i = 0; i < values.size(); i++) store_element(dtype, values[i], &bytes[i * dtype_bytes(dtype)]);
    return bytes;
}

// A copy of just these bytes, so that a sanitizer sees each access outside of them.
struct Memory {
    std::unique_ptr<char[]> bytes;
    size_t size;
    explicit Memory(const std::string &from) : bytes(new char[from.size()]), size(from.size()) {
        std::memcpy(bytes.get(), from.data(), size);
    }
    pxl_status open(Tensors *tensors) const {
        pxli_tensors *made = nullptr;
        const pxl_status status = pxli_tensors_open_memory(bytes.get(), size, &made);
        EXPECT_EQ(made != nullptr, status == PXL_OK);
        tensors->reset(made);
        return status;
    }
};

class Safetensors : public testing::Test {
  protected:
    void SetUp() override {
#ifndef PXL_TEST_JANSSON
        GTEST_SKIP() << "this build has no libjansson";
#endif
    }
};

void expect_message(const std::string &text) {
    EXPECT_NE(std::string(pxl_error_message()).find(text), std::string::npos) << text << " | " << pxl_error_message();
}

// Refused, with each of the texts in the message.
void refuse(const std::string &bytes, std::initializer_list<const char *> texts) {
    SCOPED_TRACE(bytes.substr(0, 300));
    Tensors tensors;
    const Memory memory(bytes);
    EXPECT_EQ(memory.open(&tensors), PXL_IO_ERROR);
    for (const char *text : texts) expect_message(text);
}
void refuse_header(const std::string &header, size_t data_bytes, std::initializer_list<const char *> texts) {
    refuse(contents(header, std::string(data_bytes, 'x')), texts);
}

// Gone when the program ends.
struct Folder {
    std::string path = testing::TempDir() + "/pixloss_safetensors_XXXXXX";
    Folder() {
        if (!mkdtemp(path.data())) path.clear();
    }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;
    ~Folder() {
        std::error_code ignored;
        if (!path.empty()) std::filesystem::remove_all(path, ignored);
    }
};
std::string folder() {
    static const Folder made;
    return made.path;
}
std::string write_file(const std::string &name, const std::string &bytes) {
    std::string path = folder() + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
}
void refuse_file(const std::string &path, std::initializer_list<const char *> texts) {
    pxli_tensors *tensors = nullptr;
    EXPECT_EQ(pxli_tensors_open(path.c_str(), &tensors), PXL_IO_ERROR);
    EXPECT_EQ(tensors, nullptr);
    expect_message(path);
    for (const char *text : texts) expect_message(text);
}

// Three types, metadata, a tensor that nobody asks for, one without elements, a scalar; their names are not in the order of the data.
std::string good_file() {
    const std::string header = "{\"__metadata__\":{\"format\":\"pt\",\"made by\":\"\"}," + tensor("bias", "F16", "[3]", 48, 54) +
                               "," + tensor("weight", "F32", "[2,3]", 0, 24) + "," + tensor("step", "I64", "[3]", 24, 48) + "," +
                               tensor("empty", "F32", "[3,0,2]", 48, 48) + "," + tensor("scale", "BF16", "[]", 54, 56) + "}   ";
    return contents(header, elements(PXL_F32, {0, 1, -2, 0.1, 1e-42, 3e38}) + std::string(24, 7) +
                                elements(PXL_F16, {1.5, -65504, 6e-8}) + elements(PXL_BF16, {-0.15625}));
}

TEST_F(Safetensors, ReadsTheThreeTypes) {
    Tensors tensors;
    const Memory memory(good_file());
    ASSERT_EQ(memory.open(&tensors), PXL_OK) << pxl_error_message();
    ASSERT_EQ(pxli_tensors_count(tensors.get()), 5U);
    const char *const order[] = {"weight", "step", "empty", "bias", "scale"};
    for (size_t i = 0; i < 5; i++) {
        const pxli_stored *stored = pxli_tensors_at(tensors.get(), i);
        EXPECT_STREQ(stored->name, order[i]);
        EXPECT_EQ(pxli_tensors_find(tensors.get(), order[i]), stored);
    }
    EXPECT_EQ(pxli_tensors_at(tensors.get(), 5), nullptr);
    EXPECT_EQ(pxli_tensors_find(tensors.get(), "__metadata__"), nullptr);
    EXPECT_EQ(pxli_tensors_find(tensors.get(), "weigh"), nullptr);

    const pxli_stored *weight = pxli_tensors_find(tensors.get(), "weight"), *bias = pxli_tensors_find(tensors.get(), "bias");
    EXPECT_EQ(weight->ndim, 2);
    EXPECT_EQ(weight->size[0], 2);
    EXPECT_EQ(weight->size[1], 3);
    EXPECT_STREQ(weight->dtype, "F32");
    std::vector<float> values(6);
    ASSERT_EQ(pxli_stored_to_floats(weight, values.data()), PXL_OK);
    EXPECT_EQ(values, (std::vector<float>{0, 1, -2, 0.1F, 1e-42F, 3e38F}));
    values.resize(3);
    ASSERT_EQ(pxli_stored_to_floats(bias, values.data()), PXL_OK);
    EXPECT_EQ(values, (std::vector<float>{1.5F, -65504, 0x1p-24F}));
    const pxli_stored *scale = pxli_tensors_find(tensors.get(), "scale");
    EXPECT_EQ(scale->ndim, 0);
    ASSERT_EQ(pxli_stored_to_floats(scale, values.data()), PXL_OK);
    EXPECT_EQ(values[0], -0.15625F);
}

TEST_F(Safetensors, TensorsWithoutElementsAndOfOtherTypes) {
    Tensors tensors;
    const Memory memory(good_file());
    ASSERT_EQ(memory.open(&tensors), PXL_OK) << pxl_error_message();
    const pxli_stored *empty = pxli_tensors_find(tensors.get(), "empty"), *step = pxli_tensors_find(tensors.get(), "step");
    EXPECT_EQ(empty->bytes, 0U);
    EXPECT_EQ(empty->size[1], 0);
    EXPECT_EQ(pxli_stored_to_floats(empty, nullptr), PXL_OK);
    EXPECT_EQ(pxli_stored_to_floats(step, nullptr), PXL_IO_ERROR);
    expect_message("'step'");
    expect_message("I64; F32, F16 or BF16 is needed");
}

TEST_F(Safetensors, EveryHalfAndBfloat) {
    for (const pxl_dtype dtype : {PXL_F16, PXL_BF16}) {
        std::string data;
        for (int bits = 0; bits < 65536; bits++) data += {static_cast<char>(bits & 0xff), static_cast<char>(bits >> 8)};
        Tensors tensors;
        const Memory memory(contents("{" + tensor("all", dtype == PXL_F16 ? "F16" : "BF16", "[65536]", 0, 131072) + "}", data));
        ASSERT_EQ(memory.open(&tensors), PXL_OK) << pxl_error_message();
        std::vector<float> values(65536);
        ASSERT_EQ(pxli_stored_to_floats(pxli_tensors_at(tensors.get(), 0), values.data()), PXL_OK);
        for (int bits = 0; bits < 65536; bits++) {
            const uint16_t element = static_cast<uint16_t>(bits);
            const double expected = load_element(dtype, &element);
            if (std::isnan(expected))
                EXPECT_TRUE(std::isnan(values[bits])) << bits;
            else
                EXPECT_EQ(values[bits], expected) << bits;
            EXPECT_EQ(std::signbit(values[bits]), (bits & 0x8000) != 0) << bits;
        }
    }
}

TEST_F(Safetensors, DataNeedNoAlignment) {
    const std::vector<double> values{1, -2.5, 0x1p-20, 1024};
    for (size_t spaces = 0; spaces < 8; spaces++) {
        const std::string header = "{" + tensor("odd", "U8", "[1]", 0, 1) + "," + tensor("f", "F32", "[4]", 1, 17) + "," +
                                   tensor("h", "F16", "[4]", 17, 25) + "," + tensor("b", "BF16", "[4]", 25, 33) + "}";
        Tensors tensors;
        const Memory memory(contents(header + std::string(spaces, ' '),
                                     "?" + elements(PXL_F32, values) + elements(PXL_F16, values) + elements(PXL_BF16, values)));
        ASSERT_EQ(memory.open(&tensors), PXL_OK) << pxl_error_message();
        for (const char *name : {"f", "h", "b"}) {
            float read[4];
            ASSERT_EQ(pxli_stored_to_floats(pxli_tensors_find(tensors.get(), name), read), PXL_OK);
            for (int i = 0; i < 4; i++) EXPECT_EQ(read[i], *name == 'b' ? round_to(PXL_BF16, values[i]) : values[i]);
        }
    }
}

TEST_F(Safetensors, EveryTypeOfTheFormat) {
    const struct {
        const char *dtype;
        int bits;
    } types[] = {{"BOOL", 8}, {"U8", 8},      {"I8", 8},      {"F8_E5M2", 8},     {"F8_E4M3", 8},     {"F8_E8M0", 8},
                 {"I16", 16}, {"U16", 16},    {"F16", 16},    {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"BF16", 16},
                 {"I32", 32}, {"U32", 32},    {"F32", 32},    {"F64", 64},        {"I64", 64},        {"U64", 64},
                 {"C64", 64}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};
    for (const auto &type : types) {
        Tensors tensors;
        const Memory memory(contents("{" + tensor("t", type.dtype, "[2,4]", 0, type.bits) + "}", std::string(type.bits, 0)));
        ASSERT_EQ(memory.open(&tensors), PXL_OK) << type.dtype << pxl_error_message();
        EXPECT_STREQ(pxli_tensors_at(tensors.get(), 0)->dtype, type.dtype);
    }
    refuse_header("{" + tensor("t", "F4", "[3]", 0, 2) + "}", 2, {"'t'", "within a byte", "F4"});
    refuse_header("{" + tensor("t", "F31", "[1]", 0, 4) + "}", 4, {"'t'", "'F31'", "the format does not have"});
    refuse_header("{" + tensor("t", "f32", "[1]", 0, 4) + "}", 4, {"'t'", "'f32'"});
}

TEST_F(Safetensors, UnusualButRight) {
    for (const std::string &header :
         {std::string("{}"), std::string("{\"__metadata__\":null}"), std::string("{\"__metadata__\":{}}\n\t "),
          "{" + tensor("", "F32", "[0,9223372036854775807,2]", 0, 0) + "}",
          "{" + tensor("8", "F32", "[1,1,1,1,1,1,1,0]", 0, 0) + "}",
          std::string(R"({"\u00e9\"\\":{"shape":[0],"later":[{"x":1.5}],"data_offsets":[0,0],"dtype":"F32"}})")}) {
        Tensors tensors;
        const Memory memory(contents(header));
        EXPECT_EQ(memory.open(&tensors), PXL_OK) << header << pxl_error_message();
    }
}

TEST_F(Safetensors, NotASafetensorsFile) {
    refuse("", {"it is empty"});
    refuse("1234567", {"7 bytes", "header's length"});
    refuse(std::string(8, '\0'), {"does not begin with '{'"});
    refuse("\x89PNG\r\n\x1a\n0123456789", {"at most 100000000", "is it a safetensors file"});
    refuse(little_endian(100000001) + "{}", {"100000001 bytes"});
    refuse(little_endian(~uint64_t{0}) + "{}", {"18446744073709551615 bytes"});
    refuse(little_endian(100000000) + "{}", {"truncated", "100000000", "10 bytes in all"});
    refuse(little_endian(3) + "{}", {"truncated"});
    refuse(contents(" {}"), {"does not begin with '{'"});
    refuse(contents("[]"), {"does not begin with '{'"});
    refuse(contents("{"), {"not valid JSON", "column"});
    refuse(contents("{}}"), {"not valid JSON"});
    refuse(contents(std::string("{}\0", 3)), {"not valid JSON"});
    refuse(contents("{\"a\xff\":1}"), {"not valid JSON", "byte 0xff"});
    refuse(contents("{\"a\\u0000b\":1}"), {"not valid JSON"});
    refuse(contents("{\"a\":1" + std::string(30, '0') + "}"), {"not valid JSON", "too big integer"});
    refuse(contents("{}", "12"), {"2 bytes of data, but no tensor"});
    refuse(contents("{\"__metadata__\":3}"), {"__metadata__ is an integer"});
    refuse(contents("{\"__metadata__\":{\"key\":3}}"), {"__metadata__ holds an integer at 'key'"});
}

TEST_F(Safetensors, DeepNesting) {
    for (const char *open : {"[", "{\"a\":"}) {
        std::string header = "{\"a\":";
        for (int i = 0; i < 1000000; i++) header += open;
        refuse(contents(header), {"more than 16 deep"});
    }
    // Brackets in strings are not nesting.
    Tensors tensors;
    const Memory memory(
        contents("{\"__metadata__\":{\"\\\"" + std::string(100, '[') + "\":\"" + std::string(100, '{') + "\\\\\"}}"));
    EXPECT_EQ(memory.open(&tensors), PXL_OK) << pxl_error_message();
}

TEST_F(Safetensors, WrongTypesInATensor) {
    const auto with = [](const std::string &dtype, const std::string &shape, const std::string &offsets) {
        return R"({"conv":{"dtype":)" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
    };
    for (const char *value : {"3", "[\"F32\",[1],[0,4]]", "null", "\"F32\"", "true", "0.5"})
        refuse_header("{\"conv\":" + std::string(value) + "}", 4, {"'conv'", "an object with dtype, shape and data_offsets"});
    refuse_header(R"({"conv":{"shape":[1],"data_offsets":[0,4]}})", 4, {"'conv'", "dtype is missing"});
    refuse_header(R"({"conv":{"dtype":"F32","data_offsets":[0,4]}})", 4, {"'conv'", "shape is missing"});
    refuse_header(R"({"conv":{"dtype":"F32","shape":[1]}})", 4, {"'conv'", "data_offsets is missing"});
    refuse_header(with("32", "[1]", "[0,4]"), 4, {"'conv'", "dtype is an integer"});
    refuse_header(with("\"F32\"", "1", "[0,4]"), 4, {"'conv'", "shape is an integer"});
    refuse_header(with("\"F32\"", "{}", "[0,4]"), 4, {"'conv'", "shape is an object"});
    refuse_header(with("\"F32\"", "[\"1\"]", "[0,4]"), 4, {"'conv'", "shape holds a string"});
    refuse_header(with("\"F32\"", "[1.0]", "[0,4]"), 4, {"'conv'", "shape holds a fraction"});
    refuse_header(with("\"F32\"", "[1,null]", "[0,4]"), 4, {"'conv'", "shape holds null"});
    refuse_header(with("\"F32\"", "[-1]", "[0,4]"), 4, {"'conv'", "shape holds -1"});
    refuse_header(with("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, {"'conv'", "9 sizes", "at most 8"});
    refuse_header(with("\"F32\"", "[1]", "4"), 4, {"'conv'", "data_offsets is an integer"});
    refuse_header(with("\"F32\"", "[1]", "[0]"), 4, {"'conv'", "another length"});
    refuse_header(with("\"F32\"", "[1]", "[0,4,8]"), 4, {"'conv'", "another length"});
    refuse_header(with("\"F32\"", "[1]", "[0,4.0]"), 4, {"'conv'", "data_offsets holds a fraction"});
    refuse_header(with("\"F32\"", "[1]", "[-4,0]"), 4, {"'conv'", "data_offsets holds -4"});
    refuse_header(with("\"F32\"", "[1]", "[true,4]"), 4, {"'conv'", "data_offsets holds a truth value"});
}

TEST_F(Safetensors, OffsetsAndSizes) {
    const auto one = [](const char *shape, int64_t begin, int64_t end) {
        return "{" + tensor("w", "F32", shape, begin, end) + "}";
    };
    refuse_header(one("[2]", 0, 8), 7, {"'w'", "end at 8", "only 7 bytes"});
    refuse_header(one("[2]", 0, 8), 0, {"'w'", "end at 8", "only 0 bytes"});
    refuse_header(one("[2]", 0, std::numeric_limits<int64_t>::max()), 8, {"'w'", "end at 9223372036854775807"});
    refuse_header(one("[2]", 8, 0), 8, {"'w'", "begin at 8, after their end at 0"});
    refuse_header(one("[2]", 0, 8), 9, {"'w'", "end at 8", "9 bytes of data"});
    refuse_header(one("[2]", 4, 12), 12, {"'w'", "begin at 4", "gap from 0"});
    refuse_header(one("[3]", 0, 8), 8, {"'w'", "span 8 bytes", "F32 need 12"});
    refuse_header(one("[1]", 0, 8), 8, {"'w'", "span 8 bytes", "need 4"});
    refuse_header(one("[0]", 0, 8), 8, {"'w'", "need 0"});
    // 2^64 elements, of 2^64 bytes, and of 2^66 bits
    refuse_header(one("[4294967296,4294967296]", 0, 0), 0, {"'w'", "more elements than can be counted"});
    refuse_header(one("[4611686018427387904]", 0, 0), 0, {"'w'", "more elements than can be counted"});
    refuse_header(one("[9223372036854775807,9223372036854775807,0]", 0, 0), 0, {"'w'", "more elements"});
}

TEST_F(Safetensors, TensorsTogether) {
    const std::string a = tensor("a", "F32", "[2]", 0, 8);
    refuse_header("{" + a + "," + tensor("b", "F32", "[2]", 4, 12) + "}", 12,
                  {"'b'", "begin at 4", "overlap those of 'a'", "end at 8"});
    refuse_header("{" + a + "," + tensor("b", "F32", "[2]", 0, 8) + "}", 8, {"'b'", "overlap those of 'a'"});
    refuse_header("{" + tensor("b", "F32", "[2]", 12, 20) + "," + a + "}", 20, {"'b'", "begin at 12", "gap from 8"});
    refuse_header("{" + a + "," + tensor("e", "F32", "[0]", 4, 4) + "}", 8, {"'e'", "overlap those of 'a'"});
    refuse_header("{" + a + "," + tensor("e", "F32", "[0]", 12, 12) + "}", 12, {"'e'", "gap from 8"});
    refuse_header("{" + a + "," + tensor("b", "F32", "[2]", 8, 16) + "}", 17, {"'b'", "end at 16", "17 bytes of data"});
    refuse_header("{" + a + "," + a + "}", 8, {"'a' twice"});
    const std::string longer = tensor("features.28.weight.of.a.longer.name", "F32", "[2]", 0, 8);
    refuse_header("{" + longer + ", " + longer + "}", 8, {"'features.28.weight.of.a.longer.name' twice"});
    refuse_header(R"({"conv":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8, {"'dtype' twice", "column"});
}

TEST_F(Safetensors, LongAndUnprintableNames) {
    const std::string long_name = std::string(107, 'n') + "\xc3\xa9" + std::string(5000, 'n');
    refuse_header("{" + tensor(long_name, "F32", "[2]", 0, 4) + "}", 4, {"nnn...'", "span 4 bytes"});
    EXPECT_EQ(std::string(pxl_error_message()).find('\xc3'), std::string::npos); // not half of a character
    refuse_header("{" + tensor("a\\u001b[2Jb", "F32", "[2]", 0, 4) + "}", 4, {"'a?[2Jb'"});
    refuse_header("{" + tensor("t", std::string(1000, 'F'), "[2]", 0, 4) + "}", 4, {"'t'", "FFF...'"});
}

TEST_F(Safetensors, Files) {
    const std::string good = good_file(), path = write_file("good", good);
    pxli_tensors *made = nullptr;
    ASSERT_EQ(pxli_tensors_open(path.c_str(), &made), PXL_OK) << pxl_error_message();
    Tensors tensors(made);
    unlink(path.c_str()); // what is mapped stays
    float scale;
    ASSERT_EQ(pxli_stored_to_floats(pxli_tensors_find(made, "scale"), &scale), PXL_OK);
    EXPECT_EQ(scale, -0.15625F);

    for (size_t length = 0; length < good.size(); length++) refuse_file(write_file("short", good.substr(0, length)), {});
    refuse_file(write_file("empty", ""), {"it is empty"});
    refuse_file(write_file("longer", good + "x"), {"'scale'", "57 bytes of data"});
    refuse_file(folder(), {"a directory"});
    refuse_file(folder() + "/none", {"cannot be opened", "No such file"});
    refuse_file(folder() + "/empty/file", {"Not a directory"});
    const std::string pipe = folder() + "/pipe";
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    refuse_file(pipe, {"no regular file"});
    pxli_tensors_close(nullptr);
}

TEST_F(Safetensors, UnreadableFile) {
    const std::string path = write_file("secret", good_file());
    ASSERT_EQ(chmod(path.c_str(), 0), 0);
    if (access(path.c_str(), R_OK) == 0) GTEST_SKIP() << "this user may read every file";
    refuse_file(path, {"cannot be opened", "Permission denied"});
}

TEST_F(Safetensors, Mutations) {
    std::mt19937_64 random(20240607);
    const std::string good = good_file(), alphabet = "0123456789\"{}[],:.-\\ FIBU\n";
    const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
    size_t accepted = 0;
    for (int round = 0; round < 20000; round++) {
        std::string bytes = good;
        for (size_t edits = 1 + below(3); edits > 0 && !bytes.empty(); edits--) {
            const size_t at = below(bytes.size());
            switch (below(4)) {
                case 0: bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(8)); break;
                case 1: bytes[at] = alphabet[below(alphabet.size())]; break;
                case 2: bytes.insert(at, 1 + below(3), alphabet[below(alphabet.size())]); break;
                default: bytes.erase(at, 1 + below(3));
            }
        }
        // Half of them with a length that fits, to get as far as the JSON.
        const size_t end = bytes.rfind('}');
        if (below(2) && bytes.size() > 8 && end != std::string::npos && end >= 8) bytes.replace(0, 8, little_endian(end + 1 - 8));
        Tensors tensors;
        const Memory memory(bytes);
        const pxl_status status = memory.open(&tensors);
        if (status != PXL_OK) {
            EXPECT_EQ(status, PXL_IO_ERROR) << pxl_error_message();
            continue;
        }
        accepted++;
        for (size_t i = 0; i < pxli_tensors_count(tensors.get()); i++) {
            const pxli_stored *stored = pxli_tensors_at(tensors.get(), i);
            std::vector<float> values(stored->bytes);
            pxli_stored_to_floats(stored, values.data());
        }
    }
    EXPECT_GT(accepted, 100U); // changes of the data, of names and of metadata
}

#ifndef PXL_TEST_JANSSON
TEST(SafetensorsWithoutJansson, SaysSo) {
    pxli_tensors *tensors = nullptr;
    EXPECT_EQ(pxli_tensors_open_memory("", 0, &tensors), PXL_UNSUPPORTED);
    expect_message("no JSON reader (libjansson)");
    EXPECT_EQ(pxli_tensors_open(write_file("good", good_file()).c_str(), &tensors), PXL_UNSUPPORTED);
    EXPECT_EQ(tensors, nullptr);
}
#endif

} // namespace
