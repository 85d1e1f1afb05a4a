/* A host with a C library. */

#include "platform.h"
#include <stdio.h>
#include <stdlib.h>

void platform_print(const char *text) { fputs(text, stdout); }

void platform_exit(int failed) { exit(failed != 0); }

int main(void) { return test_main() != 0; }
