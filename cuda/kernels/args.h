// Made from cuda/src/launch.rs and its parts; `UPDATE=1 cargo test -p thumbforge-cuda header` makes it anew.
#pragma once

struct Mat { u64 at; u32 rows, cols, stride, pad; };
struct Then { u32 kind, tokens; Mat that, gate; };
