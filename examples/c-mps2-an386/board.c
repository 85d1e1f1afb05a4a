/* Start-up of Arm's MPS2 board with the AN386 image, and its console by semihosting. */

#include "semihosting.h"
#include <stdint.h>

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_EXIT = 0x18, MODE_W = 4 };

extern uint32_t stack_top, data_start, data_end, data_load, bss_start, bss_end;

int main(void);
void reset(void);

static uintptr_t call(uintptr_t operation, uintptr_t parameter) {
  register uintptr_t r0 __asm__("r0") = operation;
  register uintptr_t r1 __asm__("r1") = parameter;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static void end(int failed) {
  for (;;) {
    call(SYS_EXIT, failed ? 0x20023u : 0x20026u); /* a run-time error, or the program's end */
  }
}

static void fault(void) { end(1); }

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)&stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,      (uintptr_t)fault, (uintptr_t)fault,
};

void reset(void) {
  const uint32_t *from = &data_load;
  uint32_t *to;
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* turns on the floating-point unit */
  __asm__ volatile("dsb\n isb" ::: "memory");
  for (to = &data_start; to < &data_end; to++) {
    *to = *from++;
  }
  for (to = &bss_start; to < &bss_end; to++) {
    *to = 0;
  }
  end(main());
}

void print(const char *text) {
  static const char name[] = ":tt";
  static uintptr_t console;
  uintptr_t length = 0;
  if (console == 0) {
    const uintptr_t open[3] = {(uintptr_t)name, MODE_W, sizeof name - 1};
    console = call(SYS_OPEN, (uintptr_t)open);
  }
  while (text[length] != '\0') {
    length++;
  }
  {
    const uintptr_t write[3] = {console, (uintptr_t)text, length};
    call(SYS_WRITE, (uintptr_t)write);
  }
}

void print_number(unsigned number) {
  char text[11];
  char *at = text + 10;
  *at = '\0';
  do {
    *--at = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  print(at);
}
