/* The smallest firmware: the model that is built into the library. */

#include "platform.h"
#include "tealight.h"

enum { ARENA = 64 * 1024 };

static union {
  uint64_t aligned[ARENA / 8 + 2];
  uint8_t bytes[ARENA + 16];
} memory;

static TealightSession session;

int test_main(void) {
  uint8_t *const arena = memory.bytes + (16u - ((uintptr_t)memory.bytes & 15u)) % 16u;
  return tealight_open_built_in(&session, arena, ARENA, NULL, NULL) != TEALIGHT_STATUS_OK ||
         tealight_run(&session) != TEALIGHT_STATUS_OK;
}
