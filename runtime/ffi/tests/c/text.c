#include "text.h"
#include "platform.h"

void print_hex(uint64_t number) {
  static const char digits[] = "0123456789abcdef";
  char text[17];
  int i;
  for (i = 0; i < 16; i++) {
    text[i] = digits[(number >> (60 - 4 * i)) & 15u];
  }
  text[16] = '\0';
  platform_print(text);
}

void print_decimal(int64_t number) {
  char text[21];
  char *at = text + 20;
  uint64_t left = number < 0 ? 0u - (uint64_t)number : (uint64_t)number;
  *at = '\0';
  do {
    *--at = (char)('0' + (int)(left % 10u));
    left /= 10u;
  } while (left != 0);
  if (number < 0) {
    *--at = '-';
  }
  platform_print(at);
}
