/* A training loop in small: descends on the pixels themselves, with 0.84 (1 - SSIM) + 0.16 l1 as the loss.
 * With the library installed:
 *     cc examples/step.c $(pkg-config --cflags --libs pixloss) && ./a.out */
#include <pixloss/pixloss.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 64, PIXELS = SIZE * SIZE, STEPS = 200 };

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, pxl_error_message());
    return 1;
}

int main(void) {
    static float image[PIXELS], wanted[PIXELS], gradient[PIXELS];
    for (int i = 0; i < PIXELS; i++) wanted[i] = (float)((i % SIZE / 8 + i / SIZE / 8) % 2), image[i] = 0.5F;

    pxl_loss *loss; /* what to compute: once */
    if (pxl_loss_parse("0.84*ssim + 0.16*l1", NULL, &loss)) return fail("parse");

    const pxl_tensor pred = pxl_nchw(image, PXL_F32, PXL_CPU_DEVICE, 1, 1, SIZE, SIZE); /* on what: once per shape */
    const pxl_tensor target = pxl_nchw(wanted, PXL_F32, PXL_CPU_DEVICE, 1, 1, SIZE, SIZE);
    const pxl_tensor grad = pxl_nchw(gradient, PXL_F32, PXL_CPU_DEVICE, 1, 1, SIZE, SIZE);
    double values[3]; /* total, ssim, l1 */
    pxl_args args = PXL_ARGS(&pred, &target);
    args.grad_pred = &grad, args.values = values;

    size_t bytes;
    if (pxl_workspace_size(NULL, loss, &args, &bytes)) return fail("size");
    void *workspace = malloc(bytes);
    if (!workspace || pxl_workspace_init(NULL, loss, &args, workspace, bytes, NULL)) return fail("init");

    for (int step = 0; step <= STEPS; step++) { /* every step */
        if (pxl_evaluate(NULL, loss, &args, workspace, bytes, NULL)) return fail("evaluate");
        if (step % 50 == 0) printf("step %3d: loss %.4f = 0.84 * %.4f + 0.16 * %.4f\n", step, values[0], values[1], values[2]);
        for (int i = 0; i < PIXELS; i++) image[i] -= 60 * gradient[i];
    }
    free(workspace);
    pxl_loss_destroy(loss);
    return values[0] < 0.1 ? 0 : 1;
}
