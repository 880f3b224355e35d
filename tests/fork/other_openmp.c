/* The library once more in the process of the test, on clang's OpenMP beside GCC's: see CMakeLists.txt. */
#include <stdlib.h>

#include "pixloss/pixloss.h"

enum { H = 96, W = 80, COUNT = 3 * H * W };
static float images[3][COUNT];
static pxl_network *network;
static pxl_context *context;

/* By two threads: the value, then the gradient. */
static pxl_status evaluate(const pxl_loss *loss, double results[1 + COUNT]) {
    pxl_tensor view[3];
    for (int i = 0; i < 3; i++) view[i] = pxl_nchw(images[i], PXL_F32, PXL_CPU_DEVICE, 1, 3, H, W);
    for (int i = 0; i < COUNT; i++) images[0][i] = (float)(i * 37 % 101) / 101, images[1][i] = (float)(i * 53 % 97) / 97;
    double values[2] = {0, 0};
    size_t bytes;
    pxl_args args = PXL_ARGS(&view[0], &view[1]);
    args.grad_pred = &view[2], args.values = values;
    pxl_status status = pxl_workspace_size(context, loss, &args, &bytes);
    void *workspace = status ? NULL : malloc(bytes);
    if (!status) status = pxl_workspace_init(context, loss, &args, workspace, bytes, NULL);
    if (!status) status = pxl_evaluate(context, loss, &args, workspace, bytes, NULL);
    free(workspace);
    results[0] = values[0];
    for (int i = 0; i < COUNT; i++) results[1 + i] = images[2][i];
    return status;
}

/* `results` has room for 1 + 3 * 96 * 80. */
PXL_API int pxl_test_evaluate(const char *expression, double *results) {
    pxl_loss *loss = NULL;
    pxl_status status = PXL_OK;
    if (!context) status = pxl_context_create(PXL_CPU_DEVICE, 2, &context);
    if (!status && !network) status = pxl_network_random("3:16,16,M,24", 1, &network);
    if (!status) status = pxl_context_add_network(context, "n", network);
    if (!status) status = pxl_loss_parse(expression, context, &loss);
    if (!status) status = evaluate(loss, results);
    pxl_loss_destroy(loss);
    return status;
}
