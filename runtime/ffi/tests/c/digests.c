#include "digests.h"
#include "platform.h"
#include "text.h"

enum { INFERENCES = 8 };

static uint64_t splitmix64(uint64_t *state) {
  uint64_t z = (*state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static void copy_word(uint8_t *to, const void *from) {
  const uint8_t *bytes = (const uint8_t *)from;
  int i;
  for (i = 0; i < 4; i++) {
    to[i] = bytes[i];
  }
}

/* Random elements: floats from -2 to 2, indices below 64, any bytes. */
static void fill(const TealightTensor *tensor, uint8_t *bytes, uint64_t *state) {
  size_t i;
  for (i = 0; i < tensor->elements; i++) {
    if (tensor->dtype == TEALIGHT_TYPE_F32) {
      const float number = (float)(splitmix64(state) >> 40) / 4194304.0f - 2.0f;
      copy_word(bytes + 4 * i, &number);
    } else if (tensor->dtype == TEALIGHT_TYPE_I32) {
      const int32_t number = (int32_t)(splitmix64(state) >> 58);
      copy_word(bytes + 4 * i, &number);
    } else if (tensor->dtype == TEALIGHT_TYPE_I16) {
      bytes[2 * i] = (uint8_t)(splitmix64(state) >> 56);
      bytes[2 * i + 1] = (uint8_t)(splitmix64(state) >> 56);
    } else {
      bytes[i] = (uint8_t)(splitmix64(state) >> 56);
    }
  }
}

/* FNV-1a, 64 bits. */
static uint64_t digest(uint64_t before, const uint8_t *bytes, size_t length) {
  size_t i;
  for (i = 0; i < length; i++) {
    before = (before ^ bytes[i]) * 0x100000001B3u;
  }
  return before;
}

static int write_inputs(TealightSession *session, uint64_t *state) {
  uint32_t count, i;
  if (tealight_input_count(session, &count) != TEALIGHT_STATUS_OK) {
    return 1;
  }
  for (i = 0; i < count; i++) {
    TealightTensor tensor;
    uint8_t *bytes;
    if (tealight_input_info(session, i, &tensor) != TEALIGHT_STATUS_OK ||
        tealight_input(session, i, &bytes) != TEALIGHT_STATUS_OK) {
      return 1;
    }
    fill(&tensor, bytes, state);
  }
  return 0;
}

static int infer(TealightSession *session, uint64_t budget) {
  TealightStatus status;
  do {
    status = tealight_poll(session, budget);
  } while (status == TEALIGHT_STATUS_PENDING);
  return status != TEALIGHT_STATUS_OK;
}

static int read_outputs(TealightSession *session, uint64_t *sum) {
  uint32_t count, i;
  if (tealight_output_count(session, &count) != TEALIGHT_STATUS_OK) {
    return 1;
  }
  for (i = 0; i < count; i++) {
    TealightTensor tensor;
    const uint8_t *bytes;
    if (tealight_output_info(session, i, &tensor) != TEALIGHT_STATUS_OK ||
        tealight_output(session, i, &bytes) != TEALIGHT_STATUS_OK) {
      return 1;
    }
    *sum = digest(*sum, bytes, tensor.length);
  }
  return 0;
}

int print_digest(TealightSession *session, const char *name) {
  uint64_t state = 1, sum = 0xCBF29CE484222325u;
  int inference, failures = 0;
  for (inference = 0; inference < INFERENCES; inference++) {
    failures += write_inputs(session, &state);
    failures += infer(session, inference % 2 ? 5000 : TEALIGHT_UNLIMITED);
    failures += read_outputs(session, &sum);
  }
  platform_print(name);
  platform_print(" ");
  print_hex(sum);
  platform_print("\n");
  return failures;
}
