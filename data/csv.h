/* csv: rows of a table in memory (RFC 4180): fields may be quoted, "" is a quote, a quoted field may hold
 * separators and lines. Lenient where people's files are: a quote that closes nowhere sensible is a character
 * like any other. */
#ifndef KIN_CSV_H
#define KIN_CSV_H
#include "core/base.h"

typedef struct kin_csv {
    const char *at, *end; /* what is left */
    char separator;
    int64_t line;      /* of the row read last, from 1 */
    int64_t next_line; /* private, like the rest */
    char *bytes;       /* the row's fields, each with a NUL behind it */
    int64_t room, used;
    int64_t *start, *raw; /* of field i: in bytes; where it begins in the text, from the row's begin */
    int64_t fields, field_room;
    const char *row, *row_end; /* the row as it stands in the text */
} kin_csv;

/* The text is borrowed; a byte order mark is passed over. */
void kin_csv_open(kin_csv *c, const char *text, int64_t size, char separator);
void kin_csv_close(kin_csv *c);
/* The next row that is not blank. False at the end or on failure (cx says which). */
bool kin_csv_next(kin_ctx *cx, kin_csv *c);
/* Field i of the row, until the next row is read; up to its first NUL. */
const char *kin_csv_field(const kin_csv *c, int64_t i);
/* From field i to the end of the row as it stands there: for captions with separators that nobody quoted. */
const char *kin_csv_rest(const kin_csv *c, int64_t i, int64_t *size);

#endif
