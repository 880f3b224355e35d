#include "call.h"

#include <sanitizer/allocator_interface.h>

namespace {

// Counted and not refused on the spot: what libFuzzer does when the time is up allocates too.
size_t allocations = 0;
void on_malloc(const volatile void *, size_t) { allocations++; }
void on_free(const volatile void *) {}

struct Workspace {
    Workspace(Bytes &from, size_t needed, bool real)
        : size(real ? needed : 0), memory(new uint8_t[size]), data(real ? memory.get() : nullptr), told(needed) {
        const int kind = from.ConsumeIntegralInRange(0, 63);
        if (kind == 1) data = nullptr;
        if (kind == 2 && data) data += 8;
        if (kind == 3) told = SIZE_MAX;
        if (kind == 4) told = from.ConsumeIntegralInRange<size_t>(0, needed);
    }
    const size_t size;
    const std::unique_ptr<uint8_t[]> memory;
    uint8_t *data;
    size_t told;
};

pxl_status run(const Call &call, const Workspace &workspace, int content) {
    std::memset(workspace.memory.get(), content, workspace.size);
    static const int hooked = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    require(hooked != 0);
    const size_t before = allocations;
    const pxl_status status = call.run(workspace.data, workspace.told);
    require(allocations == before);
    return status;
}

} // namespace

void try_call(Bytes &from, Scene &scene, const Call &call) {
    constexpr size_t untouched = 12345, most = 1 << 26;
    scene.fill_inputs();
    scene.fill_outputs(0xff);
    const Scene::Snapshot before = scene.snapshot();
    size_t needed = untouched;
    const pxl_status sized = call.size(&needed);
    if (sized != PXL_OK) {
        require(needed == untouched);
        require_message();
    }
    const Workspace workspace(from, needed, scene.is_real() && needed <= most);
    const pxl_status status = run(call, workspace, 0xff);
    if (sized != PXL_OK && call.size_checks_all) require(status == sized);
    if (status != PXL_OK) {
        scene.require_untouched(before);
        return require_message();
    }
    scene.require_only_outputs_changed(before);
    const std::vector<uint8_t> results = scene.results();
    scene.fill_outputs(0);
    require(run(call, workspace, 0) == PXL_OK);
    require(scene.results() == results);
}
