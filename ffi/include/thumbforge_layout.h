/* A second opinion on sizes, offsets and values, for tests/abi/c/layout.c; programs include thumbforge.h.
 *
 * Written by `cargo run -p thumbforge-bindgen`; do not edit it. */

#ifndef THUMBFORGE_LAYOUT_H
#define THUMBFORGE_LAYOUT_H

#include <stdint.h>

#define LayoutTF_ABI_VERSION 65537

#define LayoutTF_OK 0

#define LayoutTF_INVALID_REQUEST 1

#define LayoutTF_INVALID_MANIFEST 2

#define LayoutTF_UNKNOWN_MODEL 3

#define LayoutTF_MODEL_UNAVAILABLE 4

#define LayoutTF_UNSUPPORTED_FIELD 5

#define LayoutTF_QUEUE_FULL 6

#define LayoutTF_SHUTTING_DOWN 7

#define LayoutTF_CANCELLED 8

#define LayoutTF_DEADLINE_EXCEEDED 9

#define LayoutTF_MISSING_GLYPH 10

#define LayoutTF_TEXT_DOES_NOT_FIT 11

#define LayoutTF_ENGINE_FAILED 12

#define LayoutTF_VERIFICATION_FAILED 13

#define LayoutTF_INPUT_FILE 14

#define LayoutTF_OUTPUT_FILE 15

#define LayoutTF_OUTPUT_PATH 16

#define LayoutTF_STORAGE 17

#define LayoutTF_DISK_FULL 18

#define LayoutTF_DATA_DIR_IN_USE 19

#define LayoutTF_PORT_TAKEN 20

#define LayoutTF_NOT_FOUND 21

#define LayoutTF_FORBIDDEN 22

#define LayoutTF_RATE_LIMITED 23

#define LayoutTF_TOO_LARGE 24

#define LayoutTF_VERSION_MISMATCH 25

#define LayoutTF_MISSING_STRING 26

#define LayoutTF_VERSION_CONTROL 27

#define LayoutTF_INTERNAL 28

#define LayoutTF_CORRUPT 29

#define LayoutTF_RENDERED_TEXT_MISMATCH 30

#define LayoutTF_STALE_HANDLE 31

#define LayoutTF_ABI_MISMATCH 32

#define LayoutTF_NO_SIDECAR 33

#define LayoutTF_AMBIGUOUS 34

#define LayoutTF_OVER_BUDGET 35

#define LayoutTF_UNKNOWN_PRICE 36

#define LayoutTF_MODEL_RETIRED 37

#define LayoutTF_LICENCE_DENIED 38

#define LayoutTF_POLICY_DENIED 39

#define LayoutTF_CONTENT_POLICY_VIOLATION 40

#define LayoutTF_PROVIDER_FAILED 41

#define LayoutTF_PROVIDER_AUTH 42

#define LayoutTF_OUT_OF_FUNDS 43

#define LayoutTF_OUT_OF_MEMORY 44

#define LayoutTF_OPEN_TAKE_OVER 1

#define LayoutTF_REQUEST_SEED 1

#define LayoutTF_REQUEST_STEPS 2

#define LayoutTF_REQUEST_GUIDANCE 4

#define LayoutTF_REQUEST_SAFE_INSET 8

#define LayoutTF_REQUEST_DEADLINE 16

#define LayoutTF_REQUEST_PLACEHOLDER 32

#define LayoutTF_REQUEST_LOSSY 64

#define LayoutTF_REQUEST_ENFORCE 128

#define LayoutTF_REQUEST_READ_BACK 256

#define LayoutTF_LANE_INTERACTIVE 0

#define LayoutTF_LANE_BATCH 1

#define LayoutTF_TIER_PRODUCTION 0

#define LayoutTF_TIER_PREVIEW 1

#define LayoutTF_DELIVER_NOTHING 0

#define LayoutTF_DELIVER_PIXELS 1

#define LayoutTF_DELIVER_PNG 2

#define LayoutTF_OUTCOME_DONE 0

#define LayoutTF_OUTCOME_FAILED 1

#define LayoutTF_OUTCOME_CANCELLED 2

#define LayoutTF_COMPLETION_CACHED 1

#define LayoutTF_COMPLETION_AGAIN 2

#define LayoutTF_JOB_QUEUED 0

#define LayoutTF_JOB_PLANNING 1

#define LayoutTF_JOB_RUNNING 2

#define LayoutTF_JOB_VERIFYING 3

#define LayoutTF_JOB_REPAIRING 4

#define LayoutTF_JOB_WAITING 5

#define LayoutTF_JOB_AMBIGUOUS 6

#define LayoutTF_JOB_DONE 7

#define LayoutTF_JOB_FAILED 8

#define LayoutTF_JOB_CANCELLED 9

#define LayoutTF_LINK_CONNECTING 0

#define LayoutTF_LINK_ATTACHED 1

#define LayoutTF_LINK_DOWN 2

#define LayoutTF_TEXT_ASSET 0

#define LayoutTF_TEXT_LOCALE 1

#define LayoutTF_TEXT_MESSAGE 2

#define LayoutTF_TEXT_DETAIL 3

#define LayoutTF_TEXT_KEY 4

#define LayoutTF_ROWS_TOP_DOWN 0

#define LayoutTF_ROWS_BOTTOM_UP 1

typedef struct LayoutTfText {
  const uint8_t *data;
  uint32_t bytes;
  uint32_t reserved;
} LayoutTfText;

typedef struct LayoutTfOptions {
  uint32_t struct_size;
  uint32_t abi;
  uint32_t flags;
  uint32_t argument_count;
  const struct LayoutTfText *arguments;
  struct LayoutTfText data_dir;
  struct LayoutTfText project;
  struct LayoutTfText program;
} LayoutTfOptions;

typedef struct LayoutTfRequest {
  uint32_t struct_size;
  uint32_t flags;
  uint64_t tag;
  struct LayoutTfText asset;
  struct LayoutTfText locale;
  struct LayoutTfText recipe_json;
  struct LayoutTfText prompt;
  struct LayoutTfText negative;
  struct LayoutTfText model;
  struct LayoutTfText words;
  uint32_t width;
  uint32_t height;
  uint32_t tier;
  uint32_t steps;
  uint64_t seed;
  double guidance;
  uint32_t lane;
  int32_t priority;
  uint32_t deliver;
  uint32_t reserved;
  double safe_inset;
  uint64_t deadline_ms;
} LayoutTfRequest;

typedef struct LayoutTfCompletion {
  uint32_t struct_size;
  uint32_t outcome;
  uint32_t status;
  uint32_t flags;
  uint64_t job;
  uint64_t tag;
  uint64_t seed;
  uint64_t cost_micros_usd;
  uint64_t latency_ms;
  uint32_t format;
  uint32_t width;
  uint32_t height;
  uint32_t attempts;
} LayoutTfCompletion;

typedef struct LayoutTfJob {
  uint32_t struct_size;
  uint32_t state;
  uint64_t job;
  uint64_t tag;
} LayoutTfJob;

typedef struct LayoutTfProgress {
  uint32_t struct_size;
  uint32_t state;
  uint32_t step;
  uint32_t steps;
} LayoutTfProgress;

typedef struct LayoutTfTexture {
  uint32_t struct_size;
  uint32_t format;
  uint32_t width;
  uint32_t height;
  const uint8_t *data;
  uint64_t bytes;
} LayoutTfTexture;

typedef struct LayoutTfSessionState {
  uint32_t struct_size;
  uint32_t link;
  uint32_t sidecar_pid;
  uint32_t restarts;
  uint32_t in_flight;
  uint32_t lent;
  uint32_t status;
  uint32_t reserved;
} LayoutTfSessionState;

#endif  /* THUMBFORGE_LAYOUT_H */
