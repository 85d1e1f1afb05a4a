/* A timer's interrupt asks for the position of a session that is at work: it is refused, and changes nothing. For Cortex-M. */

#include "digests.h"
#include "platform.h"
#include "text.h"

enum { ARENA = 256 * 1024, PERIOD = 997, ENABLED = 7 };

static union {
  uint64_t aligned[ARENA / 8 + 2];
  uint8_t bytes[ARENA + 16];
} memory;

static TealightSession session;

/* Answers that the interrupt got. */
static volatile unsigned busy, ready, others;

void timer(void);

void timer(void) {
  TealightPosition position;
  switch (tealight_position(&session, &position)) {
  case TEALIGHT_STATUS_BUSY:
    busy++;
    break;
  case TEALIGHT_STATUS_OK:
    ready++;
    break;
  default:
    others++;
  }
}

static void start_timer(void) {
  volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010u;
  systick[1] = PERIOD;
  systick[2] = 0;
  systick[0] = ENABLED;
}

static void stop_timer(void) { *(volatile uint32_t *)0xE000E010u = 0; }

int test_main(void) {
  uint8_t *const arena = memory.bytes + (16u - ((uintptr_t)memory.bytes & 15u)) % 16u;
  int failures = tealight_open_built_in(&session, arena, ARENA, NULL, NULL) != TEALIGHT_STATUS_OK;
  start_timer();
  failures += print_digest(&session, "interrupted");
  stop_timer();
  platform_print("busy ");
  print_decimal((int64_t)busy);
  platform_print(", ready ");
  print_decimal((int64_t)ready);
  platform_print("\n");
  return failures + (busy == 0) + (others != 0);
}
