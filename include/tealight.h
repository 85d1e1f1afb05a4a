/*
 * Tealight: runs compiled neural networks in place, on microcontrollers and hosts. The C interface, C99 and C++.
 *
 * Made from the source of the crate tealight-ffi; do not edit.
 *
 * A program opens a session of a model in memory of its own, then, for each inference, writes the inputs, polls until the
 * inference has ended, and reads the outputs:
 *
 *     static TealightSession session;
 *     static KEYWORD_ALIGNED uint8_t arena[KEYWORD_ARENA_LENGTH];
 *
 *     tealight_open(&session, keyword_model, sizeof keyword_model, arena, sizeof arena, NULL, NULL);
 *     tealight_set_input(&session, 0, features, sizeof features);
 *     while (tealight_poll(&session, 50000) == TEALIGHT_STATUS_PENDING) {
 *         control();
 *     }
 *     tealight_get_output(&session, 0, scores, sizeof scores);
 *
 * Memory: the library allocates nothing, and keeps nothing outside of the memory that it is given. A session needs a
 * TealightSession and an arena, both of which belong to the caller. The model stays where it is.
 *
 * Errors: every function returns a code, and checks what it is given: null, an index or a length that is wrong, a session
 * that is not open. Nothing in the library ends the program. What cannot be checked is whether a pointer that is not null
 * points to as much memory as it should.
 *
 * Threads and interrupts: all functions may be called from any thread or interrupt, for different sessions at the same time.
 * One session may be used by one thread at a time; the caller holds a lock if several use it. A function that an interrupt
 * calls for a session in the middle of another call for the same session returns TEALIGHT_STATUS_BUSY, and does nothing. Two
 * sessions must not share an arena, unless only one of them is open. A model may be shared by any number of sessions.
 * Functions of this library do not turn off interrupts, and do not wait.
 *
 * Stack: tealight_open and tealight_check_model need about 5 KiB, the others up to 3 KiB, depending on the operators.
 */

#ifndef TEALIGHT_H
#define TEALIGHT_H

#include <stddef.h>
#include <stdint.h>

/**
 * The version of this interface. It changes when a program that was compiled with an older header would not work.
 */
#define TEALIGHT_ABI_VERSION 1

/**
 * What model and arena must be aligned to, in bytes.
 */
#define TEALIGHT_ALIGNMENT 16

/**
 * The size of a TealightSession in bytes.
 */
#define TEALIGHT_SESSION_SIZE 192

/**
 * What memory for a TealightSession must be aligned to, in bytes. The compiler aligns one that is declared.
 */
#define TEALIGHT_SESSION_ALIGNMENT 8

/**
 * The maximum number of dimensions of a tensor.
 */
#define TEALIGHT_MAX_RANK 6

/**
 * A budget, or a limit, that allows everything.
 */
#define TEALIGHT_UNLIMITED 18446744073709551615ull

/**
 * What a function returns: success is 0 or positive, an error is negative. A function that returns an error has written
 * nothing but its `error` parameter.
 */
enum TealightStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Success. Of tealight_poll: the inference has ended, and the outputs are complete.
   */
  TEALIGHT_STATUS_OK = 0,
  /**
   * The inference has not ended: poll again.
   */
  TEALIGHT_STATUS_PENDING = 1,
  /**
   * The inference waits for rows of the input: write those of tealight_input_rows, and poll again.
   */
  TEALIGHT_STATUS_ROWS = 2,
  /**
   * A pointer that must not be null is null.
   */
  TEALIGHT_STATUS_NULL_POINTER = -1,
  /**
   * The session is not open: it was never opened, opening it failed, it was closed, or it is a copy of another.
   */
  TEALIGHT_STATUS_NOT_OPEN = -2,
  /**
   * Another function has not returned yet from its call with this session: an interrupt came in between.
   */
  TEALIGHT_STATUS_BUSY = -3,
  /**
   * The model has no input or output of this index.
   */
  TEALIGHT_STATUS_BAD_INDEX = -4,
  /**
   * The length is not that of the tensor, or no object in memory can be so long.
   */
  TEALIGHT_STATUS_BAD_LENGTH = -5,
  /**
   * The session is not aligned to TEALIGHT_SESSION_ALIGNMENT.
   */
  TEALIGHT_STATUS_MISALIGNED_SESSION = -6,
  /**
   * The model's bytes are not aligned to TEALIGHT_ALIGNMENT.
   */
  TEALIGHT_STATUS_MISALIGNED_MODEL = -7,
  /**
   * The arena is not aligned to TEALIGHT_ALIGNMENT.
   */
  TEALIGHT_STATUS_MISALIGNED_ARENA = -8,
  /**
   * The arena is shorter than the model needs: `expected` is what it needs, `found` what it has, in bytes.
   */
  TEALIGHT_STATUS_ARENA_TOO_SMALL = -9,
  /**
   * Two of session, arena and model share memory.
   */
  TEALIGHT_STATUS_OVERLAP = -10,
  /**
   * The tensor is neither f32, nor 8-bit integers with a scale, so that f32 numbers cannot be converted.
   */
  TEALIGHT_STATUS_NOT_QUANTIZED = -11,
  /**
   * The numbers are not aligned as a float must be.
   */
  TEALIGHT_STATUS_MISALIGNED_NUMBERS = -12,
  /**
   * The input comes in rows, and there is no memory for all of it: see tealight_input_rows.
   */
  TEALIGHT_STATUS_INPUT_IN_ROWS = -13,
  /**
   * The model's bytes are not a safetensors file of this format: `place` is a byte.
   */
  TEALIGHT_STATUS_NOT_SAFETENSORS = -20,
  /**
   * A safetensors file, but not a compiled model: `tealight compile` makes one.
   */
  TEALIGHT_STATUS_NOT_COMPILED = -21,
  /**
   * The model was compiled for another version of the format: `expected` is the version that the library reads, `found`
   * that of the model. Compile it again with the `tealight` of this version.
   */
  TEALIGHT_STATUS_FORMAT_VERSION = -22,
  /**
   * The model is damaged: `place` is an operator, a value, a model input or output, or the plan. `tealight inspect` reports
   * what is wrong with a file.
   */
  TEALIGHT_STATUS_DAMAGED_MODEL = -23,
  /**
   * The model needs an operator, or a variant of one, that the library was built without: `place` is the first operator of
   * this kind.
   */
  TEALIGHT_STATUS_MISSING_OPERATOR = -30,
  /**
   * The model has weights of a type that the library was built without.
   */
  TEALIGHT_STATUS_MISSING_TYPE = -31,
  /**
   * The model has operators that run in groups (`tealight compile --patch`), which the library was built without.
   */
  TEALIGHT_STATUS_MISSING_GROUPS = -32,
  /**
   * An inference costs more than the limit: `expected` is the limit, `found` the cost.
   */
  TEALIGHT_STATUS_COST_TOO_HIGH = -33,
  /**
   * The longest row costs more than the limit: `expected` is the limit, `found` the cost.
   */
  TEALIGHT_STATUS_ROW_TOO_LONG = -34,
  /**
   * The library was built without a model of its own.
   */
  TEALIGHT_STATUS_NO_BUILT_IN_MODEL = -35,
  /**
   * The model's input comes in rows (`tealight compile --input-rows`), which the library was built without.
   */
  TEALIGHT_STATUS_MISSING_ROW_INPUT = -36,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum TealightStatus TealightStatus;
#else
typedef int32_t TealightStatus;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What the `index` of a TealightError counts.
 */
enum TealightPlace
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nothing: the error is not at one place, and the index is 0.
   */
  TEALIGHT_PLACE_NONE = 0,
  /**
   * Bytes of the model file, from 0.
   */
  TEALIGHT_PLACE_BYTE = 1,
  /**
   * Operators of the plan, from 0, in the order in which `tealight inspect` lists them.
   */
  TEALIGHT_PLACE_OPERATOR = 2,
  /**
   * Values of the plan, from 0.
   */
  TEALIGHT_PLACE_VALUE = 3,
  /**
   * Model inputs, then model outputs, from 0.
   */
  TEALIGHT_PLACE_INTERFACE = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum TealightPlace TealightPlace;
#else
typedef int32_t TealightPlace;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The type of a tensor's elements, which are in the byte order of the processor.
 */
enum TealightType
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * int8_t.
   */
  TEALIGHT_TYPE_I8 = 0,
  /**
   * uint8_t.
   */
  TEALIGHT_TYPE_U8 = 1,
  /**
   * int16_t.
   */
  TEALIGHT_TYPE_I16 = 2,
  /**
   * int32_t.
   */
  TEALIGHT_TYPE_I32 = 3,
  /**
   * float, IEEE 754 single precision.
   */
  TEALIGHT_TYPE_F32 = 4,
  /**
   * IEEE 754 half precision.
   */
  TEALIGHT_TYPE_F16 = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum TealightType TealightType;
#else
typedef int32_t TealightType;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a model needs and has.
 */
typedef struct TealightModel {
  /**
   * The first byte of the model file.
   */
  const uint8_t *bytes;
  /**
   * The length of the model file in bytes.
   */
  size_t length;
  /**
   * The memory that a session needs, in bytes: state, activations and scratch.
   */
  size_t arena_length;
  /**
   * The part of it that is kept from one inference to the next, in bytes; 0 for a model without streaming state.
   */
  size_t state_length;
  /**
   * The number of model inputs.
   */
  uint32_t inputs;
  /**
   * The number of model outputs.
   */
  uint32_t outputs;
  /**
   * The number of operators.
   */
  uint32_t operators;
  /**
   * Not used: 0.
   */
  uint32_t reserved;
  /**
   * The cost of one inference, in the units of a budget: see tealight_poll.
   */
  uint64_t cost;
  /**
   * The cost of the longest row, the smallest step that tealight_poll can take.
   */
  uint64_t longest_row;
  /**
   * The multiply-accumulates of one inference.
   */
  uint64_t macs;
} TealightModel;

/**
 * Why a model was refused, and where. A caller that does not want it passes null.
 */
typedef struct TealightError {
  /**
   * What the function returns, too.
   */
  TealightStatus status;
  /**
   * What `index` counts.
   */
  TealightPlace place;
  /**
   * Where the error is.
   */
  uint32_t index;
  /**
   * Not used: 0.
   */
  uint32_t reserved;
  /**
   * What would be right: bytes, a version or a limit, as the status says; 0 if it says nothing.
   */
  uint64_t expected;
  /**
   * What there is instead; 0 if the status says nothing.
   */
  uint64_t found;
} TealightError;

/**
 * A model with the arena that it runs in. Its content belongs to the library.
 *
 * It must not be used before it has been opened. Memory that holds anything but an open session, zeros for example, is
 * refused with TEALIGHT_STATUS_NOT_OPEN. An open session must not be moved: a copy of it is not open.
 */
typedef struct TealightSession {
  /**
   * For the library alone.
   */
  uint64_t opaque[24];
} TealightSession;

/**
 * The work that a model may need at most, in the units of a budget: see tealight_poll. A model that needs more is refused
 * before any of it runs.
 */
typedef struct TealightLimits {
  /**
   * The maximum cost of one inference; TEALIGHT_UNLIMITED for any.
   */
  uint64_t cost;
  /**
   * The maximum cost of the longest row, which is the smallest step that tealight_poll can take; TEALIGHT_UNLIMITED for any.
   */
  uint64_t longest_row;
} TealightLimits;

/**
 * A model input or output.
 */
typedef struct TealightTensor {
  /**
   * The type of its elements.
   */
  TealightType dtype;
  /**
   * The number of its dimensions, 0 to TEALIGHT_MAX_RANK.
   */
  uint32_t rank;
  /**
   * Its dimensions, the outermost first (NHWC for pictures); 1 past the rank. Elements are in row-major order.
   */
  uint32_t shape[TEALIGHT_MAX_RANK];
  /**
   * The number of its elements.
   */
  size_t elements;
  /**
   * Its length in bytes.
   */
  size_t length;
  /**
   * An element q represents scale * (q - zero_point). 0 if the tensor is not quantized.
   */
  float scale;
  /**
   * See `scale`.
   */
  int32_t zero_point;
} TealightTensor;

/**
 * Rows of an image.
 */
typedef struct TealightRows {
  /**
   * The first of them, from 0.
   */
  uint32_t first;
  /**
   * Their number; 0 if no rows are wanted.
   */
  uint32_t count;
  /**
   * Where they are, one after another; null if no rows are wanted.
   */
  uint8_t *bytes;
  /**
   * Their length in bytes.
   */
  size_t length;
} TealightRows;

/**
 * How far an inference has come: the next row to compute.
 */
typedef struct TealightPosition {
  /**
   * The index of the operator, from 0.
   */
  uint32_t operator_index;
  /**
   * The row of the operator's output, from 0.
   */
  uint32_t row;
  /**
   * The pass of the operator's group, from 0; 0 for an operator outside of groups.
   */
  uint32_t pass;
  /**
   * The number of operators of the model. All numbers but this are 0 if no inference is in progress.
   */
  uint32_t operators;
} TealightPosition;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * What a status means, as one English sentence without a full stop. The text is constant and never null; of a number that
 * is no status, it says so.
 */
const char *tealight_status_text(int32_t status);

/**
 * The version of the library, such as "0.1.0". The text is constant.
 */
const char *tealight_version(void);

/**
 * The version of the interface that the library has: equal to TEALIGHT_ABI_VERSION if the header is that of the library.
 */
uint32_t tealight_abi_version(void);

/**
 * Checks a model as tealight_open does, and writes what it needs to `info`.
 *
 * `model`, `model_length`: the whole model file, aligned to TEALIGHT_ALIGNMENT.
 *
 * `error`: where the reason for a refusal and its place are written, or null. On success its status is TEALIGHT_STATUS_OK.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _BAD_LENGTH, _MISALIGNED_MODEL, _NOT_SAFETENSORS,
 * _NOT_COMPILED, _FORMAT_VERSION or _DAMAGED_MODEL. Operators that the library was built without are not looked for.
 *
 * # Safety
 * Pointers are null, or valid for as many bytes as is said.
 */
TealightStatus tealight_check_model(const uint8_t *model,
                                    size_t model_length,
                                    struct TealightModel *info,
                                    struct TealightError *error);

/**
 * Writes what the model needs that is part of the library to `info`: see tealight_open_built_in.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER or _NO_BUILT_IN_MODEL.
 *
 * # Safety
 * The pointer is null, or valid for writing.
 */
TealightStatus tealight_built_in_model(struct TealightModel *info);

/**
 * Checks a model, and opens a session that runs it in `arena`.
 *
 * Everything that running the model relies on is checked here, once, whatever the bytes are. The arena is cleared, and
 * streaming state gets its initial values. The check needs about 5 KiB of stack, and time in proportion to the plan in the
 * file, clearing time in proportion to the arena. A session that is open already is opened anew.
 *
 * `session`: memory of TEALIGHT_SESSION_SIZE bytes, whatever it holds. It must stay where it is until it is closed. If a call
 * never returned, because its thread was ended, the caller sets the session's bytes to 0 before it is opened again.
 *
 * `model`, `model_length`: the whole model file, aligned to TEALIGHT_ALIGNMENT, in flash or in RAM. It must not change until
 * the session is closed; it is not copied.
 *
 * `arena`, `arena_length`: memory aligned to TEALIGHT_ALIGNMENT, at least TealightModel.arena_length bytes of it, for the
 * session alone until it is closed.
 *
 * `limits`: the work that is accepted, or null for any.
 *
 * `error`: where the reason for a refusal and its place are written, or null. On success its status is TEALIGHT_STATUS_OK.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _BAD_LENGTH, _BUSY, _MISALIGNED_SESSION, _MISALIGNED_MODEL,
 * _MISALIGNED_ARENA, _ARENA_TOO_SMALL, _OVERLAP, _NOT_SAFETENSORS, _NOT_COMPILED, _FORMAT_VERSION, _DAMAGED_MODEL,
 * _MISSING_OPERATOR, _MISSING_TYPE, _MISSING_GROUPS, _MISSING_ROW_INPUT, _COST_TOO_HIGH or _ROW_TOO_LONG. The session is not
 * open then.
 *
 * # Safety
 * Pointers are null, or valid for as many bytes as is said; model and arena stay so until the session is closed.
 */
TealightStatus tealight_open(struct TealightSession *session,
                             const uint8_t *model,
                             size_t model_length,
                             uint8_t *arena,
                             size_t arena_length,
                             const struct TealightLimits *limits,
                             struct TealightError *error);

/**
 * Opens a session of the model that is part of the library, as tealight_open does of any model. `cargo xtask ffi --model`
 * builds such a library. The model was checked when the library was built, so a program that opens no other model links no
 * code for checking one.
 *
 * Returns TEALIGHT_STATUS_NO_BUILT_IN_MODEL if the library has none, or what tealight_open returns.
 *
 * # Safety
 * As for tealight_open.
 */
TealightStatus tealight_open_built_in(struct TealightSession *session,
                                      uint8_t *arena,
                                      size_t arena_length,
                                      const struct TealightLimits *limits,
                                      struct TealightError *error);

/**
 * Closes a session. Its memory, its arena and its model are the caller's again.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
 *
 * # Safety
 * The pointer is null, or points to TEALIGHT_SESSION_SIZE bytes that are readable and writable.
 */
TealightStatus tealight_close(struct TealightSession *session);

/**
 * Writes the number of model inputs to `count`.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
 *
 * # Safety
 * Pointers are null or valid, and no other thread uses the session.
 */
TealightStatus tealight_input_count(struct TealightSession *session,
                                    uint32_t *count);

/**
 * Writes the number of model outputs to `count`.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_output_count(struct TealightSession *session,
                                     uint32_t *count);

/**
 * Writes type, shape and quantization of model input `index`, from 0, to `info`.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN, _BUSY or _BAD_INDEX.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_input_info(struct TealightSession *session,
                                   uint32_t index,
                                   struct TealightTensor *info);

/**
 * Writes type, shape and quantization of model output `index`, from 0, to `info`.
 *
 * Returns what tealight_input_info returns.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_output_info(struct TealightSession *session,
                                    uint32_t index,
                                    struct TealightTensor *info);

/**
 * Writes the address of the first byte of model input `index` to `bytes`, aligned to TEALIGHT_ALIGNMENT. It is in the arena,
 * and the same until the session is closed; its length is TealightTensor.length.
 *
 * All inputs must be written before each inference, because their memory is used again while the model runs. They must not
 * be written while a function of this session runs.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN, _BUSY, _BAD_INDEX or
 * _INPUT_IN_ROWS.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_input(struct TealightSession *session,
                              uint32_t index,
                              uint8_t **bytes);

/**
 * Writes the address of the first byte of model output `index` to `bytes`, aligned to TEALIGHT_ALIGNMENT; its length is
 * TealightTensor.length. What is there is the output from the end of an inference to the start of the next.
 *
 * Returns what tealight_input returns.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_output(struct TealightSession *session,
                               uint32_t index,
                               const uint8_t **bytes);

/**
 * Copies `length` bytes, which must be the length of the tensor, into model input `index`.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN, _BUSY, _BAD_INDEX,
 * _INPUT_IN_ROWS or _BAD_LENGTH; the input is unchanged then.
 *
 * # Safety
 * As for tealight_input_count; `bytes` is valid for reading `length` bytes, none of them in the arena.
 */
TealightStatus tealight_set_input(struct TealightSession *session,
                                  uint32_t index,
                                  const uint8_t *bytes,
                                  size_t length);

/**
 * Copies model output `index` to `bytes`, which must have the length of the tensor.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN, _BUSY, _BAD_INDEX or
 * _BAD_LENGTH; nothing is copied then.
 *
 * # Safety
 * As for tealight_input_count; `bytes` is valid for writing `length` bytes, none of them in the arena.
 */
TealightStatus tealight_get_output(struct TealightSession *session,
                                   uint32_t index,
                                   uint8_t *bytes,
                                   size_t length);

/**
 * Quantizes `count` numbers, which must be the number of elements, into model input `index`: round(x / scale) + zero_point,
 * halves away from zero, clamped to the range of the type, NaN to the zero point. For an f32 input the numbers are copied.
 *
 * Returns what tealight_set_input returns, or TEALIGHT_STATUS_NOT_QUANTIZED.
 *
 * # Safety
 * As for tealight_input_count; `numbers` is valid for reading `count` floats, none of them in the arena.
 */
TealightStatus tealight_set_input_f32(struct TealightSession *session,
                                      uint32_t index,
                                      const float *numbers,
                                      size_t count);

/**
 * Writes the numbers that the elements of model output `index` represent to `numbers`: scale * (q - zero_point), or the
 * elements themselves if it is not quantized. `count` must be the number of elements.
 *
 * Returns what tealight_get_output returns.
 *
 * # Safety
 * As for tealight_input_count; `numbers` is valid for writing `count` floats, none of them in the arena.
 */
TealightStatus tealight_get_output_f32(struct TealightSession *session,
                                       uint32_t index,
                                       float *numbers,
                                       size_t count);

/**
 * Writes to `rows` which rows of the input are to be written next, and where: before an inference, and whenever tealight_poll or
 * tealight_run returns TEALIGHT_STATUS_ROWS. At any other time, and for a model whose input does not come in rows
 * (`tealight compile --input-rows`), their number is 0.
 *
 * Rows that are still needed move in the arena when rows are asked for the first time; without that, an inference that waits for
 * rows does not go on.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_input_rows(struct TealightSession *session,
                                   struct TealightRows *rows);

/**
 * Does as much of the inference as `budget` allows, and returns. After the end of an inference, it starts a new one, whose
 * inputs must have been written. The output bits do not depend on how the work is sliced.
 *
 * `budget`: the cost that the call may have, in units of about one multiply-accumulate, or other work of the same cost;
 * TEALIGHT_UNLIMITED for all that is left. If one row alone costs more, the call computes that row: at most
 * TealightModel.longest_row. On a Cortex-M4 a unit takes two to four instructions in common networks.
 *
 * Returns TEALIGHT_STATUS_OK if the inference has ended, TEALIGHT_STATUS_PENDING if there is more to do, TEALIGHT_STATUS_ROWS if
 * rows of the input are missing (tealight_input_rows), or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_poll(struct TealightSession *session,
                             uint64_t budget);

/**
 * Continues to the end of the current operator, so that a program can measure each.
 *
 * Returns what tealight_poll returns.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_poll_operator(struct TealightSession *session);

/**
 * Runs one inference to its end, or the rest of the one in progress; if the input comes in rows, to where rows are missing.
 *
 * Returns TEALIGHT_STATUS_OK, TEALIGHT_STATUS_ROWS if rows of the input are missing (tealight_input_rows), or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_run(struct TealightSession *session);

/**
 * Abandons an inference in progress, and sets streaming state to its initial values.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_reset(struct TealightSession *session);

/**
 * Writes how far the inference has come to `position`.
 *
 * Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
 *
 * # Safety
 * As for tealight_input_count.
 */
TealightStatus tealight_position(struct TealightSession *session,
                                 struct TealightPosition *position);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* The caller's compiler must lay a session out as the library was compiled to. */
struct TealightAlignment {
  char byte;
  TealightSession session;
};
typedef char TealightSessionSizeIsThatOfTheLibrary[sizeof(TealightSession) == TEALIGHT_SESSION_SIZE ? 1 : -1];
typedef char TealightSessionAlignmentIsThatOfTheLibrary
    [TEALIGHT_SESSION_ALIGNMENT % offsetof(struct TealightAlignment, session) == 0 ? 1 : -1];

#endif
