/* Arm's MPS2 board with the AN386 image (Cortex-M4F), as QEMU has it. */

#include "platform.h"
#include "semihosting.h"
#include <stdint.h>

extern uint32_t stack_top;
extern uint32_t data_start, data_end, data_load;
extern uint32_t bss_start, bss_end;

void reset(void);

uintptr_t semihosting_call(uintptr_t operation, uintptr_t parameter) {
  register uintptr_t r0 __asm__("r0") = operation;
  register uintptr_t r1 __asm__("r1") = parameter;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

/* A fault ends the program as a failure. */
static void fault(void) {
  platform_print("fault\n");
  platform_exit(1);
}

/* The interrupt of the core's timer, in programs that start it. */
void timer(void);
__attribute__((weak)) void timer(void) { fault(); }

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)&stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,      (uintptr_t)fault, (uintptr_t)fault, 0,
    0,                     0,                0,                (uintptr_t)fault,
    (uintptr_t)fault,      0,                (uintptr_t)fault, (uintptr_t)timer,
};

void reset(void) {
  volatile uint32_t *const coprocessors = (volatile uint32_t *)0xE000ED88u;
  const uint32_t *from = &data_load;
  uint32_t *to;
  *coprocessors |= 0xFu << 20; /* the floating-point unit */
  __asm__ volatile("dsb\n isb" ::: "memory");
  for (to = &data_start; to < &data_end; to++) {
    *to = *from++;
  }
  for (to = &bss_start; to < &bss_end; to++) {
    *to = 0;
  }
  platform_exit(test_main());
}
