/* Somebody else's program: knows the library as it was installed, and nothing of its sources. */
#include <pixloss/pixloss.h>
#include <stdio.h>

int main(void) {
    static double workspace[1 << 20];
    float x[64] = {1}, y[64] = {0};
    double values[2] = {0};
    const pxl_tensor pred = pxl_nchw(x, PXL_F32, PXL_CPU_DEVICE, 1, 1, 8, 8), target = pxl_nchw(y, PXL_F32, PXL_CPU_DEVICE, 1, 1, 8, 8);
    pxl_args args = PXL_ARGS(&pred, &target);
    pxl_loss *loss = NULL;
    pxl_network *network = NULL; /* which brings in what the library needs for networks */
    args.values = values;
    if (pxl_network_load("missing.safetensors", NULL, NULL, &network) == PXL_OK || pxl_loss_parse("mse", NULL, &loss) ||
        pxl_evaluate(NULL, loss, &args, workspace, sizeof workspace, NULL))
        return 1;
    printf("pixloss %s: mse = %g\n", pxl_version(), values[0]);
    pxl_loss_destroy(loss);
    return values[0] == 1.0 / 64 ? 0 : 1;
}
