// The oneTBB peer: `parallel_pipeline` as its documentation shows it, tokens by value where they are small and by
// unique ownership where they are rows. Every function catches what it throws: nothing may unwind into Rust.

#include <cstdint>
#include <memory>
#include <vector>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/version.h>

namespace tbb = oneapi::tbb;
using mode = tbb::filter_mode;

namespace {

struct Row {
    std::uint32_t index;
    std::vector<double> a, b;
    std::vector<std::uint32_t> counts;
};

// The same operations in the same order as in the Rust cases, so that the picture is the same to the bit.
std::uint32_t iterate(double &a, double &b, double cr, double ci, std::uint32_t limit) {
    std::uint32_t count = 0;
    while (count < limit) {
        const double a2 = a * a, b2 = b * b;
        if (a2 + b2 > 4.0) break;
        b = 2.0 * a * b + ci;
        a = a2 - b2 + cr;
        ++count;
    }
    return count;
}

} // namespace

extern "C" std::int32_t peers_tbb_version() { return TBB_runtime_interface_version(); }

extern "C" bool peers_tbb_mandelbrot(std::uint32_t size, std::uint32_t first, std::uint32_t second, std::uint32_t threads,
                                     std::uint32_t tokens, std::uint8_t *picture) try {
    const double left = -2.125, top = -1.5, step = 3.0 / size;
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    std::uint32_t next = 0;
    tbb::parallel_pipeline(
        tokens,
        tbb::make_filter<void, Row *>(mode::serial_in_order,
                                      [&](tbb::flow_control &control) -> Row * {
                                          if (next == size) {
                                              control.stop();
                                              return nullptr;
                                          }
                                          return new Row{next++, std::vector<double>(size), std::vector<double>(size),
                                                         std::vector<std::uint32_t>(size)};
                                      }) &
            tbb::make_filter<Row *, Row *>(mode::parallel,
                                           [&](Row *row) {
                                               const double ci = top + step * row->index;
                                               for (std::uint32_t x = 0; x < size; ++x) {
                                                   const double cr = left + step * x;
                                                   double a = cr, b = ci;
                                                   row->counts[x] = iterate(a, b, cr, ci, first);
                                                   row->a[x] = a;
                                                   row->b[x] = b;
                                               }
                                               return row;
                                           }) &
            tbb::make_filter<Row *, Row *>(mode::parallel,
                                           [&](Row *row) {
                                               const double ci = top + step * row->index;
                                               for (std::uint32_t x = 0; x < size; ++x) {
                                                   if (row->counts[x] != first) continue;
                                                   const double cr = left + step * x;
                                                   row->counts[x] += iterate(row->a[x], row->b[x], cr, ci, second);
                                               }
                                               return row;
                                           }) &
            tbb::make_filter<Row *, void>(mode::serial_in_order, [&](Row *given) {
                const std::unique_ptr<Row> row(given);
                std::uint8_t *line = picture + std::size_t(row->index) * size;
                for (std::uint32_t x = 0; x < size; ++x)
                    line[x] = std::uint8_t(255 - row->counts[x] * 255 / (first + second));
            }));
    return true;
} catch (...) {
    return false;
}

extern "C" bool peers_tbb_tokens(std::uint64_t count, bool parallel, std::uint32_t threads, std::uint32_t tokens,
                                 std::uint64_t *sum) try {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    const mode inner = parallel ? mode::parallel : mode::serial_in_order;
    std::uint64_t next = 0, folded = 0;
    tbb::parallel_pipeline(tokens, tbb::make_filter<void, std::uint64_t>(mode::serial_in_order,
                                                                         [&](tbb::flow_control &control) -> std::uint64_t {
                                                                             if (next == count) {
                                                                                 control.stop();
                                                                                 return 0;
                                                                             }
                                                                             return next++;
                                                                         }) &
                                       tbb::make_filter<std::uint64_t, std::uint64_t>(
                                           inner, [](std::uint64_t x) { return x * 0x9E3779B97F4A7C15u; }) &
                                       tbb::make_filter<std::uint64_t, std::uint64_t>(
                                           inner, [](std::uint64_t x) { return x ^ (x >> 29); }) &
                                       tbb::make_filter<std::uint64_t, void>(mode::serial_in_order, [&](std::uint64_t x) {
                                           folded = ((folded << 5) | (folded >> 59)) ^ x;
                                       }));
    *sum = folded;
    return true;
} catch (...) {
    return false;
}
