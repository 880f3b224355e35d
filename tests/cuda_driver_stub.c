/* A libcuda.so.1 for machines without a driver: cuDNN's libraries need its symbols to be loaded. It has no device, which plans for
 * devices that are only described do not take. */
enum { NO_DEVICE = 100 };
#define WITHOUT_DEVICE(name) \
    int name(void);          \
    int name(void) { return NO_DEVICE; }
#define FUNCTIONS(X)                      \
    X(cuCtxGetCurrent)                    \
    X(cuCtxGetLimit)                      \
    X(cuCtxPopCurrent)                    \
    X(cuCtxPushCurrent)                   \
    X(cuDeviceGet)                        \
    X(cuDeviceGetAttribute)               \
    X(cuGetErrorName)                     \
    X(cuGetProcAddress)                   \
    X(cuGetProcAddress_v2)                \
    X(cuInit)                             \
    X(cuKernelGetAttribute)               \
    X(cuKernelGetFunction)                \
    X(cuKernelSetAttribute)               \
    X(cuLaunchCooperativeKernel)          \
    X(cuLaunchKernel)                     \
    X(cuLaunchKernelEx)                   \
    X(cuLibraryGetKernel)                 \
    X(cuLibraryLoadData)                  \
    X(cuLibraryLoadFromFile)              \
    X(cuLibraryUnload)                    \
    X(cuLinkAddData)                      \
    X(cuLinkComplete)                     \
    X(cuLinkCreate)                       \
    X(cuLinkDestroy)                      \
    X(cuModuleGetFunction)                \
    X(cuModuleGetGlobal)                  \
    X(cuModuleGetGlobal_v2)               \
    X(cuOccupancyMaxPotentialClusterSize) \
    X(cuStreamGetCtx)                     \
    X(cuFuncSetAttribute)                 \
    X(cuFuncGetAttribute)
FUNCTIONS(WITHOUT_DEVICE)

int cuDeviceGetCount(int *count);
int cuDriverGetVersion(int *version);
int cuGetErrorString(int error, const char **text);
int cuModuleLoadData(void **module, const void *image);
int cuModuleUnload(void *module);
int cuTensorMapEncodeIm2col(void);
int cuTensorMapEncodeTiled(void);
int cuDeviceGetCount(int *count) { return *count = 0; }
int cuDriverGetVersion(int *version) { return *version = 13000, 0; }
int cuGetErrorString(int error, const char **text) { return (void)error, *text = "there is no device", 0; }
/* What engines that are compiled when a plan is made load: nothing, which only running it would miss. */
int cuModuleLoadData(void **module, const void *image) { return (void)image, *module = (void *)1, 0; }
int cuModuleUnload(void *module) { return (void)module, 0; }
int cuTensorMapEncodeIm2col(void) { return 0; }
int cuTensorMapEncodeTiled(void) { return 0; }
