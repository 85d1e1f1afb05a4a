/* The models of a test program, which xtask writes. */

#ifndef MODELS_H
#define MODELS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  const char *name;
  const uint8_t *bytes;
  size_t length;
} TestModel;

extern const TestModel test_models[];
extern const size_t test_model_count;

#endif
