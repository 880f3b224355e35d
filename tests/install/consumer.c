/* Somebody else's program: knows the library as it was installed, and nothing of its sources. */
#include <pixloss/pixloss.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    float x[64] = {1}, y[64] = {0};
    double values[2] = {0};
    size_t bytes = 0;
    pxl_loss *loss = NULL;
    pxl_network *network = NULL; /* brings in what the library needs for networks */
    const pxl_tensor pred = pxl_nchw(x, PXL_F32, PXL_CPU_DEVICE, 1, 1, 8, 8),
                     target = pxl_nchw(y, PXL_F32, PXL_CPU_DEVICE, 1, 1, 8, 8);
    pxl_args args = PXL_ARGS(&pred, &target);
    args.values = values;
    if (!pxl_network_load("missing", NULL, NULL, &network) || pxl_loss_parse("mse", NULL, &loss)) return 1;
    if (pxl_workspace_size(NULL, loss, &args, &bytes)) return 1;
    void *workspace = malloc(bytes);
    if (pxl_workspace_init(NULL, loss, &args, workspace, bytes, NULL)) return 1;
    if (pxl_evaluate(NULL, loss, &args, workspace, bytes, NULL)) return 1;
    printf("mse = %g by pixloss %s\n", values[0], pxl_version());
    free(workspace);
    pxl_loss_destroy(loss);
    return 0;
}
