// out[i] = table[ids[i]] + positions[i mod tokens]
//
// Shapes: ids [rows, 1] words; table [vocabulary, features]; positions [tokens, features] or nothing; out [rows, features];
//   rows `stride` apart. A word that the table does not have leaves zeros, and the greatest such row + 1 at `fault`.
// CPU reference: plain.rs `Run::embed`. In f32.
// Launch: 256 threads, a vector of 16 bytes or a number each, at most 16384 blocks.
// Bytes: a row of the table, one of the positions and one of out for each word. Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace embed {
template <class T, u32 V> FN void all(const EmbedArgs& a) {
    rows::each<V>(a.out.rows, a.out.cols, [&](u32 row, u32 col) {
        u32 id = *rows::row_of<u32>(a.ids, row);
        float y[V] = {};
        if (id < a.table.rows) {
            rows::load<T, V>(y, rows::row_of<T>(a.table, id) + col);
        } else if (col == 0) {
            // Positive floats are in the order of their bits, so this is the greatest row, whoever comes first.
            atomic_max_f32(ptr<float>(a.fault), __uint_as_float(row + 1));
        }
        if (a.positions.at && id < a.table.rows) {
            float more[V];
            rows::load<T, V>(more, rows::row_of<T>(a.positions, row % a.positions.rows) + col);
#pragma unroll
            for (u32 j = 0; j < V; ++j) y[j] += more[j];
        }
        rows::store<T, V>(rows::row_of<T>(a.out, row) + col, y);
    });
}
}  // namespace embed

KERNEL(embed_bf16, EmbedArgs, 256, 4) {
    if (a.wide) embed::all<bf16, 8>(a);
    else embed::all<bf16, 1>(a);
}
KERNEL(embed_f32, EmbedArgs, 256, 4) {
    if (a.wide) embed::all<float, 4>(a);
    else embed::all<float, 1>(a);
}
