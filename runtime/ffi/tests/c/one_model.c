/* Tests of a library with one model and its operators: the digest of that model, and that others are refused. */

#include "digests.h"
#include "models.h"
#include "platform.h"
#include "text.h"

enum { ARENA = 256 * 1024 };

static union {
  uint64_t aligned[ARENA / 8 + 2];
  uint8_t bytes[ARENA + 16];
} memory;

static TealightSession session;

int test_main(void) {
  uint8_t *const arena = memory.bytes + (16u - ((uintptr_t)memory.bytes & 15u)) % 16u;
  int failures = 0;
  size_t i;
  TealightModel info;
  TealightError error;
  TealightLimits limits = {TEALIGHT_UNLIMITED, TEALIGHT_UNLIMITED};
  failures += tealight_built_in_model(&info) != TEALIGHT_STATUS_OK;
  failures += tealight_open_built_in(&session, arena, info.arena_length - 1, NULL, &error) !=
              TEALIGHT_STATUS_ARENA_TOO_SMALL;
  failures += tealight_open_built_in(&session, arena + 8, ARENA - 8, NULL, NULL) != TEALIGHT_STATUS_MISALIGNED_ARENA;
  failures += tealight_open_built_in(&session, NULL, ARENA, NULL, NULL) != TEALIGHT_STATUS_NULL_POINTER;
  limits.cost = info.cost - 1;
  failures += tealight_open_built_in(&session, arena, ARENA, &limits, &error) != TEALIGHT_STATUS_COST_TOO_HIGH;
  limits.cost = info.cost;
  limits.longest_row = info.longest_row - 1;
  failures += tealight_open_built_in(&session, arena, ARENA, &limits, &error) != TEALIGHT_STATUS_ROW_TOO_LONG;
  failures += tealight_run(&session) != TEALIGHT_STATUS_NOT_OPEN;
  limits.longest_row = info.longest_row;
  failures += tealight_open_built_in(&session, arena, info.arena_length, &limits, NULL) != TEALIGHT_STATUS_OK;
  failures += print_digest(&session, "built in");
  for (i = 0; i < test_model_count; i++) {
    const TestModel *const model = &test_models[i];
    const TealightStatus status =
        tealight_open(&session, model->bytes, model->length, arena, ARENA, NULL, &error);
    platform_print(model->name);
    platform_print(": ");
    print_decimal(status);
    platform_print(" at ");
    print_decimal((int64_t)error.index);
    platform_print("\n");
  }
  return failures;
}
