/* What happens on misuse: each case has its code, and none a fault. */

#include "misuse.h"
#include "platform.h"
#include "tealight.h"
#include "text.h"

/* Room for a copy of the model that is damaged, or not aligned. */
enum { COPY = 64 * 1024 };

union Copy {
  uint64_t aligned[COPY / 8 + 4];
  uint8_t bytes[COPY + 32];
};

static TealightSession session;
static union Copy copy;
static int failures;

static void expect(const char *name, int32_t found, int32_t expected) {
  platform_print(name);
  platform_print(": ");
  print_decimal(found);
  if (found != expected) {
    failures++;
    platform_print(", expected ");
    print_decimal(expected);
  }
  platform_print("\n");
}

static void expect_number(const char *name, uint64_t found, uint64_t expected) {
  expect(name, found == expected, 1);
}

/* The first byte of the copy that is aligned to 16. */
static uint8_t *aligned_copy(const TestModel *model) {
  uint8_t *at = copy.bytes + (16u - ((uintptr_t)copy.bytes & 15u)) % 16u;
  size_t i;
  for (i = 0; i < model->length; i++) {
    at[i] = model->bytes[i];
  }
  return at;
}

static void without_a_session(uint8_t *out) {
  uint32_t count;
  static TealightSession never;
  expect("count, null session", tealight_input_count(NULL, &count), TEALIGHT_STATUS_NULL_POINTER);
  expect("poll, null session", tealight_poll(NULL, 1), TEALIGHT_STATUS_NULL_POINTER);
  expect("close, null session", tealight_close(NULL), TEALIGHT_STATUS_NULL_POINTER);
  expect("poll before open", tealight_poll(&never, 1), TEALIGHT_STATUS_NOT_OPEN);
  expect("run before open", tealight_run(&never), TEALIGHT_STATUS_NOT_OPEN);
  expect("reset before open", tealight_reset(&never), TEALIGHT_STATUS_NOT_OPEN);
  expect("close before open", tealight_close(&never), TEALIGHT_STATUS_NOT_OPEN);
  expect("input before open", tealight_set_input(&never, 0, out, 1), TEALIGHT_STATUS_NOT_OPEN);
  expect("output before open", tealight_get_output(&never, 0, out, 1), TEALIGHT_STATUS_NOT_OPEN);
}

static void when_opening(const TestModel *model, uint8_t *arena, size_t arena_length) {
  TealightModel info;
  TealightError error;
  TealightLimits limits = {TEALIGHT_UNLIMITED, TEALIGHT_UNLIMITED};
  const uint8_t *bytes = model->bytes;
  const size_t length = model->length;
  TealightSession *const odd = (TealightSession *)(void *)((uint8_t *)&session + 1);
  expect("check, null model", tealight_check_model(NULL, length, &info, &error), TEALIGHT_STATUS_NULL_POINTER);
  expect("check, null info", tealight_check_model(bytes, length, NULL, &error), TEALIGHT_STATUS_NULL_POINTER);
  expect("check", tealight_check_model(bytes, length, &info, &error), TEALIGHT_STATUS_OK);
  expect("its error", error.status, TEALIGHT_STATUS_OK);
  expect("open, null session", tealight_open(NULL, bytes, length, arena, arena_length, NULL, NULL),
         TEALIGHT_STATUS_NULL_POINTER);
  expect("open, null model", tealight_open(&session, NULL, length, arena, arena_length, NULL, NULL),
         TEALIGHT_STATUS_NULL_POINTER);
  expect("open, null arena", tealight_open(&session, bytes, length, NULL, arena_length, NULL, NULL),
         TEALIGHT_STATUS_NULL_POINTER);
  expect("open, impossible length", tealight_open(&session, bytes, (size_t)-1, arena, arena_length, NULL, NULL),
         TEALIGHT_STATUS_BAD_LENGTH);
  expect("open, odd session", tealight_open(odd, bytes, length, arena, arena_length, NULL, NULL),
         TEALIGHT_STATUS_MISALIGNED_SESSION);
  expect("open, odd arena", tealight_open(&session, bytes, length, arena + 4, arena_length - 4, NULL, NULL),
         TEALIGHT_STATUS_MISALIGNED_ARENA);
  expect("open, short arena", tealight_open(&session, bytes, length, arena, info.arena_length - 1, NULL, &error),
         TEALIGHT_STATUS_ARENA_TOO_SMALL);
  expect_number("bytes it needs", error.expected, info.arena_length);
  expect_number("bytes it has", error.found, info.arena_length - 1);
  expect("then it is not open", tealight_poll(&session, 1), TEALIGHT_STATUS_NOT_OPEN);
  limits.cost = info.cost - 1;
  expect("open, cost", tealight_open(&session, bytes, length, arena, arena_length, &limits, &error),
         TEALIGHT_STATUS_COST_TOO_HIGH);
  expect_number("its cost", error.found, info.cost);
  limits.cost = info.cost;
  limits.longest_row = info.longest_row - 1;
  expect("open, row", tealight_open(&session, bytes, length, arena, arena_length, &limits, &error),
         TEALIGHT_STATUS_ROW_TOO_LONG);
  expect_number("its row", error.found, info.longest_row);
  expect("open, session in the arena",
         tealight_open((TealightSession *)(void *)arena, bytes, length, arena, arena_length, NULL, NULL),
         TEALIGHT_STATUS_OVERLAP);
  expect("open, no model built in", tealight_open_built_in(&session, arena, arena_length, NULL, NULL),
         TEALIGHT_STATUS_NO_BUILT_IN_MODEL);
}

static void with_a_damaged_model(const TestModel *model, uint8_t *arena, size_t arena_length) {
  TealightError error;
  uint8_t *damaged = aligned_copy(model);
  const size_t length = model->length;
  size_t at, refused = 0, accepted = 0, others = 0;
  expect("open, odd model", tealight_open(&session, damaged + 1, length - 1, arena, arena_length, NULL, NULL),
         TEALIGHT_STATUS_MISALIGNED_MODEL);
  expect("open, model in the arena", tealight_open(&session, damaged, length, damaged, COPY, NULL, NULL),
         TEALIGHT_STATUS_OVERLAP);
  expect("open, empty model", tealight_open(&session, damaged, 0, arena, arena_length, NULL, &error),
         TEALIGHT_STATUS_NOT_SAFETENSORS);
  expect("open, half a model", tealight_open(&session, damaged, length / 2, arena, arena_length, NULL, &error),
         TEALIGHT_STATUS_NOT_SAFETENSORS);
  expect("its place", error.place, TEALIGHT_PLACE_BYTE);
  damaged[9] ^= 0xFFu;
  expect("open, damaged header", tealight_open(&session, damaged, length, arena, arena_length, NULL, &error),
         TEALIGHT_STATUS_NOT_SAFETENSORS);
  damaged[9] ^= 0xFFu;
  /* Every byte of header and plan, one after the other: refused with a code, or run to the end. */
  for (at = 0; at < length && at < 3000; at++) {
    TealightStatus status;
    damaged[at] ^= 0x41u;
    status = tealight_open(&session, damaged, length, arena, arena_length, NULL, &error);
    if (status == TEALIGHT_STATUS_OK) {
      accepted++;
      failures += tealight_poll(&session, 1000) < 0;
    } else if (status != error.status || status > TEALIGHT_STATUS_NULL_POINTER) {
      others++;
    } else {
      refused++;
    }
    damaged[at] ^= 0x41u;
  }
  expect_number("damaged bytes are answered with a code", others, 0);
  expect_number("most are refused", refused > accepted, 1);
}

static void with_an_open_session(const TestModel *model, uint8_t *arena, size_t arena_length) {
  TealightTensor input, output;
  uint8_t *in;
  float number = 0;
  TealightPosition position;
  TealightSession moved;
  expect("open", tealight_open(&session, model->bytes, model->length, arena, arena_length, NULL, NULL),
         TEALIGHT_STATUS_OK);
  expect("input info", tealight_input_info(&session, 0, &input), TEALIGHT_STATUS_OK);
  expect("output info", tealight_output_info(&session, 0, &output), TEALIGHT_STATUS_OK);
  expect("info, null", tealight_input_info(&session, 0, NULL), TEALIGHT_STATUS_NULL_POINTER);
  expect("input info, index", tealight_input_info(&session, 1, &input), TEALIGHT_STATUS_BAD_INDEX);
  expect("output info, index", tealight_output_info(&session, 0xFFFFFFFFu, &output), TEALIGHT_STATUS_BAD_INDEX);
  expect("input, index", tealight_input(&session, 1, &in), TEALIGHT_STATUS_BAD_INDEX);
  expect("set input, index", tealight_set_input(&session, 7, copy.bytes, input.length), TEALIGHT_STATUS_BAD_INDEX);
  expect("set input, null", tealight_set_input(&session, 0, NULL, input.length), TEALIGHT_STATUS_NULL_POINTER);
  expect("set input, short", tealight_set_input(&session, 0, copy.bytes, input.length - 1),
         TEALIGHT_STATUS_BAD_LENGTH);
  expect("set input, long", tealight_set_input(&session, 0, copy.bytes, input.length + 1), TEALIGHT_STATUS_BAD_LENGTH);
  expect("set input, impossible", tealight_set_input(&session, 0, copy.bytes, (size_t)-1), TEALIGHT_STATUS_BAD_LENGTH);
  expect("get output, short", tealight_get_output(&session, 0, copy.bytes, output.length - 1),
         TEALIGHT_STATUS_BAD_LENGTH);
  expect("set numbers, short", tealight_set_input_f32(&session, 0, &number, 1), TEALIGHT_STATUS_BAD_LENGTH);
  expect("set numbers, overflow", tealight_set_input_f32(&session, 0, &number, ((size_t)-1) / 2),
         TEALIGHT_STATUS_BAD_LENGTH);
  expect("get numbers, long", tealight_get_output_f32(&session, 0, &number, output.elements + 1),
         TEALIGHT_STATUS_BAD_LENGTH);
  expect("poll, no budget", tealight_poll(&session, 0), TEALIGHT_STATUS_PENDING);
  expect("position", tealight_position(&session, &position), TEALIGHT_STATUS_OK);
  expect_number("a row was computed", position.row + position.operator_index > 0, 1);
  expect("reset", tealight_reset(&session), TEALIGHT_STATUS_OK);
  expect("position again", tealight_position(&session, &position), TEALIGHT_STATUS_OK);
  expect_number("it is the start", position.row + position.operator_index, 0);
  expect("position, null", tealight_position(&session, NULL), TEALIGHT_STATUS_NULL_POINTER);
  moved = session;
  expect("a copy is not open", tealight_run(&moved), TEALIGHT_STATUS_NOT_OPEN);
  expect("the session is", tealight_run(&session), TEALIGHT_STATUS_OK);
  expect("close", tealight_close(&session), TEALIGHT_STATUS_OK);
  expect("close again", tealight_close(&session), TEALIGHT_STATUS_NOT_OPEN);
  expect("run after close", tealight_run(&session), TEALIGHT_STATUS_NOT_OPEN);
  expect("input after close", tealight_set_input(&session, 0, copy.bytes, input.length), TEALIGHT_STATUS_NOT_OPEN);
}

static void texts(void) {
  const char *text = tealight_status_text(TEALIGHT_STATUS_BAD_INDEX);
  platform_print(text);
  platform_print("\n");
  expect_number("other codes have a text", tealight_status_text(12345)[0] != '\0', 1);
  expect_number("header and library are of one version", tealight_abi_version(), TEALIGHT_ABI_VERSION);
}

int misuse(const TestModel *model, uint8_t *arena, size_t arena_length) {
  failures = 0;
  without_a_session(copy.bytes);
  when_opening(model, arena, arena_length);
  with_a_damaged_model(model, arena, arena_length);
  with_an_open_session(model, arena, arena_length);
  texts();
  return failures;
}
