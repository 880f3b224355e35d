// One case, ready to run: images, arguments, workspace.
#ifndef BENCH_EVALUATION_H
#define BENCH_EVALUATION_H
#include <memory>
#include <string>
#include <vector>

#include "cases.h"
#include "image.h"

struct DestroyLoss {
    void operator()(pxl_loss *loss) const { pxl_loss_destroy(loss); }
};
using Loss = std::unique_ptr<pxl_loss, DestroyLoss>;
Loss parse_loss(const std::string &expression); // throws std::invalid_argument

class Evaluation {
  public:
    // Throws std::runtime_error where the library refuses.
    Evaluation(const pxl_loss *loss, const Case &test);
    Evaluation(const Evaluation &) = delete;
    Evaluation &operator=(const Evaluation &) = delete;

    void run(); // what is timed

    const Case &test() const { return test_; }
    const std::vector<double> &values() const { return values_; }
    const Image *grad_pred() const { return grad_pred_.get(); }     // nullptr: not wanted
    const Image *grad_target() const { return grad_target_.get(); } // nullptr: not wanted
    // That any implementation has to move, from and to memory: images, weights and gradients, each once.
    double bytes_to_move() const;

  private:
    const pxl_loss *loss_;
    Case test_;
    Image pred_, target_;
    std::unique_ptr<Image> weight_, grad_pred_, grad_target_;
    std::vector<double> values_;
    float upstream_;
    pxl_args args_;
    std::unique_ptr<Memory> workspace_;
};
#endif
