/* tfevents: scalars as TensorBoard reads them: RUN/events.out.tfevents.<unix time>.<host>.<pid>.0.
 *
 * A file is TFRecords: u64 length, u32 masked crc32c of those 8 bytes, data, u32 masked crc32c of the data,
 * all little-endian. The data is a protocol buffer tensorflow.Event {1 wall_time double, 2 step int64, 3
 * file_version "brain.Event:2" (the first record), 5 summary {1 value {1 tag, 2 simple_value float}},
 * 7 session_log {1 status: START = 1}}. */
#ifndef KIN_TFEVENTS_H
#define KIN_TFEVENTS_H
#include "core/json.h"

typedef struct kin_tfevents kin_tfevents;
/* Begins a new file in an existing folder. step > 0: says that the run goes on from there, so that
 * TensorBoard drops what older files of the folder hold beyond it. NULL on failure. */
kin_tfevents *kin_tfevents_open(kin_ctx *cx, const char *folder, int64_t step);
/* Every number of the object but "step" as a scalar "prefix/key". Flushed. */
kin_status kin_tfevents_write(kin_ctx *cx, kin_tfevents *t, const char *prefix, int64_t step,
                              const json_t *numbers);
void kin_tfevents_close(kin_tfevents *t);

/* One record of an event into out [KIN_TFEVENT_MOST]; its size. tag NULL: the version record. */
enum { KIN_TFEVENT_MOST = 512 };
int64_t kin_tfevents_record(char *out, double wall_time, int64_t step, const char *tag, float value);

#endif
