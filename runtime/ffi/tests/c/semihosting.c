/* Printing and ending by semihosting, the same on Arm and RISC-V. */

#include "semihosting.h"
#include "platform.h"
#include <stddef.h>

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_EXIT = 0x18, MODE_W = 4 };

/* Reasons of SYS_EXIT: the program ended, or failed. */
enum { APPLICATION_EXIT = 0x20026, RUN_TIME_ERROR = 0x20023 };

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length] != '\0') {
    length++;
  }
  return length;
}

void platform_print(const char *text) {
  static uintptr_t console;
  static const char name[] = ":tt";
  if (console == 0) {
    const uintptr_t open[3] = {(uintptr_t)name, MODE_W, sizeof name - 1};
    console = semihosting_call(SYS_OPEN, (uintptr_t)open);
  }
  {
    const uintptr_t write[3] = {console, (uintptr_t)text, length_of(text)};
    semihosting_call(SYS_WRITE, (uintptr_t)write);
  }
}

void platform_exit(int failed) {
  for (;;) {
    semihosting_call(SYS_EXIT, failed ? RUN_TIME_ERROR : APPLICATION_EXIT);
  }
}
