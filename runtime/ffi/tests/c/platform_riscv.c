/* QEMU's RISC-V machine `virt`, 32 bits, started in RAM. */

#include "platform.h"
#include "semihosting.h"
#include <stdint.h>

extern uint32_t bss_start, bss_end;

/* The three instructions by which a debugger tells semihosting from other breakpoints. They must not be compressed, nor lie
 * on two pages. */
uintptr_t semihosting_call(uintptr_t operation, uintptr_t parameter) {
  register uintptr_t a0 __asm__("a0") = operation;
  register uintptr_t a1 __asm__("a1") = parameter;
  __asm__ volatile(".option push\n"
                   ".option norvc\n"
                   ".balign 16\n"
                   "slli x0, x0, 0x1f\n"
                   "ebreak\n"
                   "srai x0, x0, 7\n"
                   ".option pop\n"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
  return a0;
}

__attribute__((used)) static void trap(void) {
  platform_print("fault\n");
  platform_exit(1);
}

__attribute__((used)) static void run(void) {
  uint32_t *to;
  for (to = &bss_start; to < &bss_end; to++) {
    *to = 0;
  }
  platform_exit(test_main());
}

__asm__(".section .start, \"ax\"\n"
        ".globl start\n"
        "start:\n"
        "  la sp, stack_top\n"
        "  la t0, handler\n"
        "  csrw mtvec, t0\n"
        "  j run\n"
        ".balign 4\n"
        "handler:\n"
        "  j trap\n"
        ".previous\n");
