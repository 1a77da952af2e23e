/* forms: the same 12 pictures and their captions, made in a folder in every form that kin reads. */
#ifndef KIN_TEST_FORMS_H
#define KIN_TEST_FORMS_H
#include "data/dataset.h"

enum { FORM_PICTURES = 12 };

typedef struct form {
    const char *name;  /* of its folder */
    const char *path;  /* what is given to kin, inside the folder */
    const char *split; /* that has `pictures` of them */
    int64_t pictures, captions;
    const char *says; /* part of kin_dataset.form */
    void (*make)(const char *folder);
} form;

extern const form forms[];
extern const int form_count;

/* Makes all forms in a new folder under /tmp; forms_remove removes it. */
void forms_make(char folder[64]);
void forms_remove(const char *folder);

/* printf into FOLDER/NAME, its folder made as well. */
void form_write(const char *folder, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Picture i (a JPEG), as bytes that the caller frees, and as FOLDER/NAME. */
uint8_t *form_picture(int i, int64_t *size);
void form_save_picture(const char *folder, const char *name, int i);

#endif
