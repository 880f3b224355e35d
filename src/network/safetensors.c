/* The safetensors reader: see safetensors.h. The rules are those of the format's reference implementation, which sorts tensors by
 * their data and walks along them: each begins where the one before it ends, and the last ends with the file. */
#include "safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../error.h"
#include "../math/half.h"
#include "printable.h"
#ifdef PXLI_JSON
#include <jansson.h>
#endif

struct pxli_tensors {
    void *map; /* NULL: the caller's memory */
    size_t map_bytes;
    struct json_t *header; /* holds the names */
    size_t count;
    pxli_stored tensors[];
};

#ifdef PXLI_JSON
/* DEPTH: three levels are in use; more would be fields that this version does not know. jansson itself allows 2048, by recursion,
 * for which not every thread's stack is enough. */
enum { LENGTH_BYTES = 8, LONGEST_HEADER = 100000000, DEPTH = 16 };

typedef struct source {
    const char *path; /* for messages */
    const char *header;
    size_t header_bytes;
    const unsigned char *data;
    size_t data_bytes;
} source;

#define BAD_FILE(s, format, ...) pxli_fail(PXL_IO_ERROR, "%.250s: " format, (s)->path, ##__VA_ARGS__)
#define BAD_TENSOR(s, name, format, ...) \
    pxli_fail(PXL_IO_ERROR, "%.250s: tensor '%s': " format, (s)->path, pxli_printable(name).text, ##__VA_ARGS__)

static const struct dtype {
    char name[PXLI_DTYPE_LENGTH];
    int bits;
} dtypes[] = {{"F32", 32},        {"F16", 16},    {"BF16", 16},   {"F64", 64},    {"C64", 64},    {"I64", 64},
              {"U64", 64},        {"I32", 32},    {"U32", 32},    {"I16", 16},    {"U16", 16},    {"I8", 8},
              {"U8", 8},          {"BOOL", 8},    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
              {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};

static const char *type_of(const json_t *json) {
    if (!json) return "missing";
    switch (json_typeof(json)) {
        case JSON_OBJECT: return "an object";
        case JSON_ARRAY: return "an array";
        case JSON_STRING: return "a string";
        case JSON_INTEGER: return "an integer";
        case JSON_REAL: return "a fraction";
        case JSON_NULL: return "null";
        default: return "a truth value";
    }
}

/* ---- One tensor of the header --------------------------------------------------------------------------------------- */
static pxl_status read_size(const source *s, const char *name, const char *field, const json_t *json, int64_t *value) {
    if (!json_is_integer(json)) return BAD_TENSOR(s, name, "%s holds %s; integers from 0 are needed", field, type_of(json));
    *value = json_integer_value(json);
    if (*value < 0) return BAD_TENSOR(s, name, "%s holds %lld; integers from 0 are needed", field, (long long)*value);
    return PXL_OK;
}

static pxl_status read_dtype(const source *s, const char *name, const json_t *json, pxli_stored *tensor, int *bits) {
    if (!json_is_string(json)) return BAD_TENSOR(s, name, "dtype is %s; a string such as \"F32\" is needed", type_of(json));
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(dtypes[i].name, json_string_value(json))) {
            memcpy(tensor->dtype, dtypes[i].name, sizeof tensor->dtype);
            *bits = dtypes[i].bits;
            return PXL_OK;
        }
    return BAD_TENSOR(s, name, "dtype is '%s', which the format does not have", pxli_printable(json_string_value(json)).text);
}

static pxl_status read_shape(const source *s, const char *name, const json_t *json, pxli_stored *tensor) {
    if (!json_is_array(json)) return BAD_TENSOR(s, name, "shape is %s; an array of sizes is needed", type_of(json));
    if (json_array_size(json) > PXLI_STORED_DIMENSIONS)
        return BAD_TENSOR(s, name, "shape has %zu sizes; at most %d can be read", json_array_size(json), PXLI_STORED_DIMENSIONS);
    tensor->ndim = (int)json_array_size(json);
    for (int i = 0; i < tensor->ndim; i++) {
        pxl_status status = read_size(s, name, "shape", json_array_get(json, (size_t)i), &tensor->size[i]);
        if (status) return status;
    }
    return PXL_OK;
}

static pxl_status read_offsets(const source *s, const char *name, const json_t *json, pxli_stored *tensor) {
    if (!json_is_array(json) || json_array_size(json) != 2)
        return BAD_TENSOR(s, name, "data_offsets is %s; an array of two integers, begin and end, is needed",
                          json_is_array(json) ? "an array of another length" : type_of(json));
    int64_t begin = 0, end = 0;
    pxl_status status = read_size(s, name, "data_offsets", json_array_get(json, 0), &begin);
    if (!status) status = read_size(s, name, "data_offsets", json_array_get(json, 1), &end);
    if (status) return status;
    if (begin > end)
        return BAD_TENSOR(s, name, "data_offsets begin at %lld, after their end at %lld", (long long)begin, (long long)end);
    if ((uint64_t)end > s->data_bytes)
        return BAD_TENSOR(s, name, "data_offsets end at %lld, but the file has only %zu bytes of data", (long long)end,
                          s->data_bytes);
    tensor->data = s->data + begin;
    tensor->bytes = (size_t)(end - begin);
    return PXL_OK;
}

static pxl_status check_bytes(const source *s, const char *name, const pxli_stored *tensor, int element_bits) {
    uint64_t bits = 1;
    bool overflow = false;
    for (int i = 0; i < tensor->ndim; i++) overflow |= __builtin_mul_overflow(bits, (uint64_t)tensor->size[i], &bits);
    overflow |= __builtin_mul_overflow(bits, (uint64_t)element_bits, &bits);
    if (overflow) return BAD_TENSOR(s, name, "its shape has more elements than can be counted");
    if (bits % 8) return BAD_TENSOR(s, name, "its elements end within a byte (%s)", tensor->dtype);
    if (bits / 8 != tensor->bytes)
        return BAD_TENSOR(s, name, "data_offsets span %zu bytes; its shape and %s need %llu", tensor->bytes, tensor->dtype,
                          (unsigned long long)(bits / 8));
    return PXL_OK;
}

static pxl_status read_tensor(const source *s, const char *name, const json_t *json, pxli_stored *tensor) {
    if (!json_is_object(json))
        return BAD_TENSOR(s, name, "it is %s; an object with dtype, shape and data_offsets is needed", type_of(json));
    *tensor = (pxli_stored){.name = name};
    int bits = 0;
    pxl_status status = read_dtype(s, name, json_object_get(json, "dtype"), tensor, &bits);
    if (!status) status = read_shape(s, name, json_object_get(json, "shape"), tensor);
    if (!status) status = read_offsets(s, name, json_object_get(json, "data_offsets"), tensor);
    if (!status) status = check_bytes(s, name, tensor, bits);
    return status;
}

/* ---- The header ----------------------------------------------------------------------------------------------------- */
static bool nests_too_deeply(const char *text, size_t length) {
    bool string = false;
    int depth = 0;
    for (size_t i = 0; i < length; i++) {
        const char c = text[i];
        if (string) {
            i += c == '\\';
            string = c != '"';
        } else {
            string = c == '"';
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
            if (depth > DEPTH) return true;
        }
    }
    return false;
}

/* A key that occurs twice, from the position behind it, as jansson names short ones only. */
static pxli_printable_text key_before(const source *s, int position) {
    char key[PXLI_PRINTABLE_BYTES] = "";
    const size_t end = position > 0 && (size_t)position <= s->header_bytes ? (size_t)position - 1 : 0;
    size_t begin = end;
    while (begin > 0 && (s->header[begin - 1] != '"' || (begin > 1 && s->header[begin - 2] == '\\'))) begin--;
    const size_t length = end - begin < sizeof key ? end - begin : sizeof key - 1;
    memcpy(key, s->header + begin, length);
    return pxli_printable(key);
}

static pxl_status parse_header(const source *s, json_t **header) {
    if (nests_too_deeply(s->header, s->header_bytes))
        return BAD_FILE(s, "the header nests objects and arrays more than %d deep; a tensor's need 3", DEPTH);
    json_error_t error;
    errno = 0; /* where there is no memory, jansson mostly says that the JSON is not valid */
    *header = json_loadb(s->header, s->header_bytes, JSON_REJECT_DUPLICATES, &error);
    if (*header) return PXL_OK;
    switch (errno == ENOMEM ? json_error_out_of_memory : json_error_code(&error)) {
        case json_error_out_of_memory:
            return pxli_fail(PXL_OUT_OF_MEMORY, "%.250s: no memory for the header (%zu bytes)", s->path, s->header_bytes);
        case json_error_duplicate_key:
            return BAD_FILE(s, "the header has the name '%s' twice (column %d)", key_before(s, error.position).text,
                            error.column);
        default:
            return BAD_FILE(s, "the header is not valid JSON: %s (line %d, column %d)", pxli_printable(error.text).text,
                            error.line, error.column);
    }
}

static pxl_status check_metadata(const source *s, json_t *metadata) {
    if (json_is_null(metadata)) return PXL_OK;
    if (!json_is_object(metadata)) return BAD_FILE(s, "__metadata__ is %s; an object of strings is needed", type_of(metadata));
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value))
            return BAD_FILE(s, "__metadata__ holds %s at '%s'; strings are needed", type_of(value), pxli_printable(key).text);
    }
    return PXL_OK;
}

/* Tensors without elements come before the one that begins at the same place. */
static int by_data(const void *a, const void *b) {
    const pxli_stored *s = a, *t = b;
    if (s->data != t->data) return (const char *)s->data < (const char *)t->data ? -1 : 1;
    if (s->bytes != t->bytes) return s->bytes < t->bytes ? -1 : 1;
    return strcmp(s->name, t->name);
}

static pxl_status check_cover(const source *s, pxli_tensors *made) {
    qsort(made->tensors, made->count, sizeof *made->tensors, by_data);
    size_t covered = 0;
    const char *last = NULL;
    for (size_t i = 0; i < made->count; i++) {
        const pxli_stored *tensor = &made->tensors[i];
        const size_t begin = (size_t)((const unsigned char *)tensor->data - s->data);
        if (begin < covered)
            return BAD_TENSOR(s, tensor->name, "its data begin at %zu and overlap those of '%s', which end at %zu", begin,
                              pxli_printable(last).text, covered);
        if (begin > covered) return BAD_TENSOR(s, tensor->name, "its data begin at %zu and leave a gap from %zu", begin, covered);
        covered += tensor->bytes;
        last = tensor->name;
    }
    if (covered == s->data_bytes) return PXL_OK;
    if (!last) return BAD_FILE(s, "%zu bytes of data, but no tensor", s->data_bytes);
    return BAD_TENSOR(s, last, "the last data end at %zu, but the file has %zu bytes of data", covered, s->data_bytes);
}

static pxl_status read_header(const source *s, pxli_tensors *made) {
    const char *name;
    json_t *json;
    json_object_foreach(made->header, name, json) {
        const bool is_metadata = !strcmp(name, "__metadata__");
        pxl_status status = is_metadata ? check_metadata(s, json) : read_tensor(s, name, json, &made->tensors[made->count]);
        if (status) return status;
        made->count += !is_metadata;
    }
    return check_cover(s, made);
}

/* ---- The file ------------------------------------------------------------------------------------------------------- */
static pxl_status find_parts(source *s, const void *contents, size_t bytes) {
    const unsigned char *from = contents;
    if (bytes == 0) return BAD_FILE(s, "it is empty; a safetensors file is needed");
    if (bytes < LENGTH_BYTES) return BAD_FILE(s, "%zu bytes are no safetensors file: the header's length alone takes 8", bytes);
    uint64_t length = 0;
    for (int i = 0; i < LENGTH_BYTES; i++) length |= (uint64_t)from[i] << 8 * i;
    if (length > LONGEST_HEADER)
        return BAD_FILE(s, "a header of %llu bytes; at most %d are allowed (is it a safetensors file?)",
                        (unsigned long long)length, LONGEST_HEADER);
    if (length > bytes - LENGTH_BYTES)
        return BAD_FILE(s, "the file is truncated: a header of %llu bytes, but %zu bytes in all", (unsigned long long)length,
                        bytes);
    s->header = (const char *)from + LENGTH_BYTES;
    s->header_bytes = (size_t)length;
    s->data = from + LENGTH_BYTES + length;
    s->data_bytes = bytes - LENGTH_BYTES - s->header_bytes;
    if (length == 0 || s->header[0] != '{') return BAD_FILE(s, "the header does not begin with '{' (is it a safetensors file?)");
    return PXL_OK;
}

static pxl_status read_contents(const char *path, const void *contents, size_t bytes, pxli_tensors **tensors) {
    source s = {.path = path, .header = ""};
    json_t *header = NULL;
    pxl_status status = find_parts(&s, contents, bytes);
    if (!status) status = parse_header(&s, &header);
    if (status) return status;
    const size_t size = sizeof(pxli_tensors) + json_object_size(header) * sizeof(pxli_stored);
    pxli_tensors *made = malloc(size);
    if (!made) {
        json_decref(header);
        return pxli_fail(PXL_OUT_OF_MEMORY, "%.250s: no memory for a list of its tensors (%zu bytes)", path, size);
    }
    *made = (pxli_tensors){.header = header};
    status = read_header(&s, made);
    if (status)
        pxli_tensors_close(made);
    else
        *tensors = made;
    return status;
}
#else
static pxl_status read_contents(const char *path, const void *contents, size_t bytes, pxli_tensors **tensors) {
    (void)contents, (void)bytes, (void)tensors;
    return pxli_fail(PXL_UNSUPPORTED, "%.250s: this build has no JSON reader (libjansson), which safetensors files need", path);
}
#endif

/* Read-only, private. O_NONBLOCK: opening a pipe would wait for its writer; a regular file is read as ever. */
static pxl_status map_file(const char *path, void **map, size_t *bytes) {
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) return pxli_fail(PXL_IO_ERROR, "%.250s: cannot be opened: %s", path, strerror(errno));
    struct stat status;
    *map = NULL;
    *bytes = 0;
    int failed = fstat(file, &status) ? errno : 0;
    const bool regular = !failed && S_ISREG(status.st_mode);
    if (regular && (uint64_t)status.st_size > SIZE_MAX) failed = EFBIG;
    if (regular && !failed && status.st_size > 0) {
        void *const mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (mapped == MAP_FAILED)
            failed = errno;
        else
            *map = mapped, *bytes = (size_t)status.st_size;
    }
    close(file);
    if (failed == ENOMEM) return pxli_fail(PXL_OUT_OF_MEMORY, "%.250s: no room to map the file", path);
    if (failed) return pxli_fail(PXL_IO_ERROR, "%.250s: cannot be read: %s", path, strerror(failed));
    if (!regular)
        return pxli_fail(PXL_IO_ERROR, "%.250s: %s; a safetensors file is needed", path,
                         S_ISDIR(status.st_mode) ? "a directory" : "no regular file");
    return PXL_OK;
}

pxl_status pxli_tensors_open(const char *path, pxli_tensors **tensors) {
    void *map = NULL;
    size_t bytes = 0;
    pxl_status status = map_file(path, &map, &bytes);
    if (status) return status;
    status = read_contents(path, map, bytes, tensors);
    if (!status)
        (*tensors)->map = map, (*tensors)->map_bytes = bytes;
    else if (map)
        munmap(map, bytes);
    return status;
}

pxl_status pxli_tensors_open_memory(const void *data, size_t bytes, pxli_tensors **tensors) {
    return read_contents("safetensors in memory", data, bytes, tensors);
}

void pxli_tensors_close(pxli_tensors *tensors) {
    if (!tensors) return;
#ifdef PXLI_JSON
    json_decref(tensors->header);
#endif
    if (tensors->map) munmap(tensors->map, tensors->map_bytes);
    free(tensors);
}

size_t pxli_tensors_count(const pxli_tensors *tensors) { return tensors->count; }

const pxli_stored *pxli_tensors_at(const pxli_tensors *tensors, size_t i) {
    return i < tensors->count ? &tensors->tensors[i] : NULL;
}

const pxli_stored *pxli_tensors_find(const pxli_tensors *tensors, const char *name) {
    for (size_t i = 0; i < tensors->count; i++)
        if (!strcmp(tensors->tensors[i].name, name)) return &tensors->tensors[i];
    return NULL;
}

/* ---- Elements ------------------------------------------------------------------------------------------------------- */
/* By bytes: right on every processor and at any address; compilers make one load of them. */
static uint32_t little_endian(const unsigned char *p, int bytes) {
    uint32_t bits = 0;
    for (int i = 0; i < bytes; i++) bits |= (uint32_t)p[i] << 8 * i;
    return bits;
}

pxl_status pxli_stored_to_floats(const pxli_stored *stored, float *out) {
    const unsigned char *data = stored->data;
    if (!strcmp(stored->dtype, "F32"))
        for (size_t i = 0; i < stored->bytes / 4; i++) out[i] = pxli_bits_float(little_endian(data + 4 * i, 4));
    else if (!strcmp(stored->dtype, "F16"))
        for (size_t i = 0; i < stored->bytes / 2; i++) out[i] = pxli_from_half((uint16_t)little_endian(data + 2 * i, 2));
    else if (!strcmp(stored->dtype, "BF16"))
        for (size_t i = 0; i < stored->bytes / 2; i++) out[i] = pxli_from_bfloat((uint16_t)little_endian(data + 2 * i, 2));
    else
        return pxli_fail(PXL_IO_ERROR, "tensor '%s' is of dtype %s; F32, F16 or BF16 is needed",
                         pxli_printable(stored->name).text, stored->dtype);
    return PXL_OK;
}
