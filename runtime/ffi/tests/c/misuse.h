#ifndef MISUSE_H
#define MISUSE_H

#include "models.h"

/* Calls functions as they must not be called, and prints each code. Returns the number of those that are not as expected. */
int misuse(const TestModel *model, uint8_t *arena, size_t arena_length);

#endif
