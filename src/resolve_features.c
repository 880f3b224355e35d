/* The network and the layers of a term that is compared in them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "context.h"
#include "error.h"
#include "network/network.h"
#include "terms.h"

/* ---- Networks ------------------------------------------------------------------------------------------------------ */
static const char *const random_names[] = {"vgg11-random", "vgg13-random", "vgg16-random", "vgg19-random"};
enum { RANDOM_NAMES = sizeof random_names / sizeof *random_names, SEED = 1 };

/* vgg16 or vgg16-random: "vgg16-random"; NULL: neither. */
static const char *random_name(const char *name) {
    for (int i = 0; i < RANDOM_NAMES; i++)
        if (!strcmp(name, random_names[i]) || (strlen(name) == 5 && !strncmp(name, random_names[i], 5))) return random_names[i];
    return NULL;
}
static bool is_random(const char *name) {
    const char *random = random_name(name);
    return random && !strcmp(random, name);
}
/* What a term's name says of a network that the term itself gives. vgg16-random is for the weights of SEED alone. */
static const char *name_of(const pxl_network *network) {
    const char *random = random_name(network->architecture);
    if (network->random) return random && network->seed == SEED ? random : "custom";
    return *network->architecture ? network->architecture : "custom";
}
/* The random network of that name that a term before has, or a new one. */
static pxl_status share_random(const pxli_place *place, const char *name, pxl_network **own) {
    char architecture[] = "vgg16"; /* name without -random */
    memcpy(architecture, name, sizeof architecture - 1);
    for (int i = 0; i < place->before_count; i++) {
        const pxl_network *other = place->before[i].features.network;
        if (!other || !other->random || other->seed != SEED || strcmp(other->architecture, architecture)) continue;
        *own = pxli_network_retain(other);
        return PXL_OK;
    }
    return pxl_network_random(architecture, SEED, own);
}
static const pxli_named_network *find_named(const pxl_context *context, const char *name) {
    const pxli_named_network *named = context ? context->networks : NULL;
    while (named && strcmp(named->name, name)) named = named->next;
    return named;
}
/* The network of a term that names none: vgg16, or the only one of the context. NULL: nothing says which. */
static const pxli_named_network *default_network(const pxl_context *context) {
    const pxli_named_network *vgg16 = find_named(context, "vgg16"), *first = context ? context->networks : NULL;
    return vgg16 ? vgg16 : first && !first->next ? first : NULL;
}

enum { MOST_NAMES = 32, LIST = 160 };
static int list_networks(const pxl_context *context, const char *names[MOST_NAMES]) {
    int count = 0;
    for (const pxli_named_network *n = context ? context->networks : NULL; n && count < MOST_NAMES; n = n->next)
        names[count++] = n->name;
    return count;
}
/* How the term gets a network that has no name yet. */
static const char *remedy(const pxli_place *place) {
    return place->columns ? "add one to the context (pxl_context_add_network)" : "set network";
}
static pxl_status fail_not_given(const pxli_place *place, const pxl_term *term) {
    const char *names[MOST_NAMES], *kind = pxli_find_kind(term->kind)->name;
    char list[LIST];
    const int count = list_networks(place->context, names);
    pxli_list(names, count, list, sizeof list);
    if (count)
        return PXLI_FAIL_FIELD(place, PXLI_F_NET,
                               "is not given, and there are several networks: write %s(net=%s), or another of %s", kind, names[0],
                               list);
    if (!place->columns)
        return PXLI_FAIL_FIELD(place, PXLI_F_NET,
                               "and network are NULL: set network, or net = \"vgg16-random\" for random weights");
    return PXLI_FAIL_FIELD(place, PXLI_F_NET,
                           "is not given, and there is no network: %s, or write %s(net=vgg16-random) for random weights",
                           remedy(place), kind);
}
static pxl_status fail_unknown(const pxli_place *place, const pxl_term *term) {
    const char *names[MOST_NAMES + RANDOM_NAMES], *random = random_name(term->net);
    char suggestion[PXLI_SUGGESTION_LENGTH], list[LIST];
    const int count = list_networks(place->context, names);
    const size_t length = strlen(term->net);
    if (random && !pxli_suggest_known(PXLI_TOPIC_NETWORK, term->net, length, names, count, suggestion))
        return PXLI_FAIL_FIELD(place, PXLI_F_NET, "is \"%s\", but no network has this name: %s, or write %s for random weights",
                               term->net, remedy(place), random);
    for (int i = 0; i < RANDOM_NAMES; i++) names[count + i] = random_names[i];
    pxli_suggest(PXLI_TOPIC_NETWORK, term->net, length, names, count + RANDOM_NAMES, suggestion);
    pxli_list(names, count + RANDOM_NAMES, list, sizeof list);
    return PXLI_FAIL_FIELD(place, PXLI_F_NET, "is \"%.60s\", which is unknown here%s there are %s; %s for another", term->net,
                           *suggestion ? suggestion : ";", list, remedy(place));
}
pxl_status pxli_find_network(const pxli_place *place, pxl_term *term, pxl_network **own) {
    if (term->net && !pxli_is_network_name(term->net, strlen(term->net)))
        return PXLI_FAIL_FIELD(place, PXLI_F_NET, "is \"%.80s\"; letters, digits, _, - and . are needed", term->net);
    if (term->network) {
        const pxl_network *given = term->network;
        if (!term->net) term->net = name_of(given);
        *own = pxli_network_retain(given);
        return PXL_OK;
    }
    const pxli_named_network *named = term->net ? find_named(place->context, term->net) : default_network(place->context);
    if (named) {
        term->net = named->name;
        term->network = *own = pxli_network_retain(named->network);
        return PXL_OK;
    }
    if (!term->net) return fail_not_given(place, term);
    if (!is_random(term->net)) return fail_unknown(place, term);
    const pxl_status status = share_random(place, term->net, own);
    term->network = *own;
    return status;
}

/* ---- Layers -------------------------------------------------------------------------------------------------------- */
static bool add_layer(pxli_features *to, int layer, double weight) {
    if (layer < 0 || to->count == PXLI_MAX_TERM_LAYERS) return false;
    to->layer[to->count] = layer, to->weight[to->count++] = weight;
    return true;
}
/* [number *] layer { ":" [number *] layer }; what is wrong in *at, or NULL. */
static const char *read_layers(const pxl_network *network, const char *text, pxli_features *to) {
    for (const char *at = text;; at++) {
        const size_t length = strcspn(at, ":");
        const char *star = memchr(at, '*', length), *name = star ? star + 1 : at;
        const size_t digits = star ? (size_t)(star - at) : 0;
        const bool number = digits && digits <= PXLI_MAX_DIGITS && pxli_number_length(at) == digits;
        const double weight = !star ? 1 : number ? pxli_parse_number(at, digits) : NAN;
        const int layer = pxli_network_find_layer(network, name, length - (size_t)(name - at));
        if (!(isfinite(weight) && weight > 0) || !add_layer(to, layer, weight)) return at;
        at += length;
        if (!*at) return NULL;
    }
}
static void default_layers(const pxl_term *from, pxli_features *to) {
    static const char *const names[] = {"relu1_2", "relu2_2", "relu3_3"};
    const int blocks = from->kind == PXL_LPIPS ? 5 : from->kind == PXL_STYLE ? 4 : 0;
    for (int block = 1; block <= blocks; block++) add_layer(to, pxli_network_last_relu(from->network, block), 1);
    for (int i = 0; !blocks && i < 3; i++) add_layer(to, pxli_network_find_layer(from->network, names[i], 7), 1);
}
static const char *fill_layers(const pxl_term *from, pxli_features *to) {
    to->count = 0;
    if (from->layers) return read_layers(from->network, from->layers, to);
    default_layers(from, to);
    return NULL;
}
static pxl_status fail_layer(const pxli_place *place, const pxl_term *term, const char *wrong) {
    const char *names[PXLI_MAX_LAYERS];
    char suggestion[PXLI_SUGGESTION_LENGTH];
    const size_t length = strcspn(wrong, ":");
    const char *star = memchr(wrong, '*', length), *name = star ? star + 1 : wrong;
    for (int i = 0; i < term->network->count; i++) names[i] = term->network->layers[i].name;
    pxli_suggest(PXLI_TOPIC_LAYER, name, length - (size_t)(name - wrong), names, term->network->count, suggestion);
    return PXLI_FAIL_FIELD(
        place, PXLI_F_LAYERS,
        "is \"%.60s\"; \"%.*s\" is no layer of %s, alone or with a weight above 0 and * before it%s At most %d are taken",
        term->layers, length < 40 ? (int)length : 40, wrong, term->net, *suggestion ? suggestion : ";", PXLI_MAX_TERM_LAYERS);
}
pxl_status pxli_check_features(const pxli_place *place, const pxl_term *term) {
    pxli_features filled;
    if (term->layers && strlen(term->layers) > PXLI_MAX_LAYERS_TEXT)
        return PXLI_FAIL_FIELD(place, PXLI_F_LAYERS, "has %zu characters; at most %d are read", strlen(term->layers),
                               PXLI_MAX_LAYERS_TEXT);
    const char *wrong = fill_layers(term, &filled);
    if (wrong) return fail_layer(place, term, wrong);
    if (!filled.count)
        return PXLI_FAIL_FIELD(place, PXLI_F_LAYERS, "is not given, and %s has none of the default layers", term->net);
    if (term->network->inputs != 3 && (term->normalize > PXL_NORMALIZE_NONE || term->kind == PXL_LPIPS))
        return PXLI_FAIL_FIELD(place, PXLI_F_NORMALIZE, "takes three channels; %s has %d", term->net, term->network->inputs);
    for (int i = 0; term->kind == PXL_LPIPS && i < filled.count; i++) {
        const pxli_layer *layer = &term->network->layers[filled.layer[i]];
        if (!layer->linear)
            return PXLI_FAIL_FIELD(place, PXLI_F_NET,
                                   "is %s, whose layer %s has no linear weights: pxl_network_load takes a file of them",
                                   term->net, layer->name);
    }
    return PXL_OK;
}
void pxli_fill_features(const pxl_term *from, pxli_features *to) {
    fill_layers(from, to);
    to->network = from->network;
    to->normalize = from->normalize ? from->normalize : from->kind == PXL_LPIPS ? PXL_NORMALIZE_LPIPS : PXL_NORMALIZE_NONE;
    to->precision = from->precision;
    to->linear = from->kind == PXL_LPIPS;
    to->transform = from->kind == PXL_STYLE                                             ? PXLI_TRANSFORM_GRAM
                    : from->kind == PXL_LPIPS || from->kind == PXL_COSINE || from->unit ? PXLI_TRANSFORM_UNIT
                                                                                        : PXLI_TRANSFORM_NONE;
    /* 1 - cos is half the squared distance of two unit vectors */
    for (int i = 0; i < to->count && from->kind == PXL_COSINE; i++) to->weight[i] /= 2;
}
