/* Tests of a library with all operators: the digests of all models, and misuse. */

#include "digests.h"
#include "misuse.h"
#include "models.h"
#include "platform.h"
#include "tealight.h"
#include "text.h"

enum { ARENA = 1024 * 1024 };

static union {
  uint64_t aligned[ARENA / 8 + 2];
  uint8_t bytes[ARENA + 16];
} memory;

static TealightSession session;

int test_main(void) {
  uint8_t *const arena = memory.bytes + (16u - ((uintptr_t)memory.bytes & 15u)) % 16u;
  int failures = 0;
  size_t i;
  for (i = 0; i < test_model_count; i++) {
    const TestModel *const model = &test_models[i];
    TealightError error;
    if (tealight_open(&session, model->bytes, model->length, arena, ARENA, NULL, &error) != TEALIGHT_STATUS_OK) {
      failures++;
      platform_print(model->name);
      platform_print(": ");
      platform_print(tealight_status_text(error.status));
      platform_print("\n");
      continue;
    }
    failures += print_digest(&session, model->name);
    failures += tealight_close(&session) != TEALIGHT_STATUS_OK;
  }
  failures += misuse(&test_models[0], arena, ARENA);
  return failures;
}
