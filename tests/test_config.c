/* config: files, flags over files, overrides, messages that name the place, and text that reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/loss.h"
#include "train/config.h"

static void parse(kin_ctx *cx, kin_config *c, const char *text)
{
    kin_clear(cx);
    kin_config_parse(cx, c, "run.cfg", text, (int64_t)strlen(text));
}

static void defaults_are_valid(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_config c, d;
    assert_int_equal(kin_config_init(&cx, &c), KIN_OK);
    assert_int_equal(c.batch, 64);
    assert_true(c.lr == 1e-3 && c.beta1 == 0.9 && c.beta2 == 0.98 && c.eps == 1e-6 && c.wd == 0.2);
    assert_string_equal(c.schedule, "cosine");
    assert_string_equal(c.train_data, "");
    assert_false(c.recompute);
    assert_false(kin_config_given(&c, "batch"));
    /* Every default passes its own key's check, and comes back as it was. */
    char *text = kin_config_text(&cx, &c), *again;
    assert_int_equal(kin_config_init(&cx, &d), KIN_OK);
    parse(&cx, &d, text);
    assert_string_equal(cx.message, "");
    again = kin_config_text(&cx, &d);
    assert_string_equal(text, again);
    assert_true(kin_config_given(&d, "batch"));
    free(text);
    free(again);
    kin_config_free(&c);
    kin_config_free(&d);
}

static void reads_files(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_config c;
    assert_int_equal(kin_config_init(&cx, &c), KIN_OK);
    parse(&cx, &c,
          "# a run\r\n\n  batch=128 # pairs\nlr = 5e-4\ntrain-data = a#b/{000..003}.tar\t# shards\n"
          "val-data = \" x # \\\"y\\\"\\n\" # quoted\nout =\nrecompute = yes\n"
          "model.text.layers = 4\nmodel.vision.width=192\nepochs = 1.5");
    assert_string_equal(cx.message, "");
    assert_int_equal(c.batch, 128);
    assert_true(c.lr == 5e-4 && c.epochs == 1.5);
    assert_string_equal(c.train_data, "a#b/{000..003}.tar");
    assert_string_equal(c.val_data, " x # \"y\"\n");
    assert_string_equal(c.out, "");
    assert_true(c.recompute);
    assert_true(kin_config_given(&c, "train-data"));
    assert_false(kin_config_given(&c, "seed"));
    assert_int_equal(c.override_count, 2);
    assert_string_equal(c.overrides[0].path, "text.layers");
    assert_string_equal(c.overrides[0].value, "4");
    assert_string_equal(c.overrides[1].path, "vision.width");
    kin_config_free(&c);
}

static void errors_name_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"batch = 1\nbach = 2", "run.cfg:2: no option is called 'bach'; did you mean 'batch'?"},
        {"train_data = x", "run.cfg:1: no option is called 'train_data'; did you mean 'train-data'?"},
        {"quite-another-thing = x", "run.cfg:1: no option is called 'quite-another-thing'"},
        {"model. = x", "run.cfg:1: no option is called 'model.'; did you mean 'model'?"},
        {"\n\nbatch 64", "run.cfg:3: expected 'key = value', found 'batch 64'"},
        {"= 64", "run.cfg:1: expected 'key = value', found '= 64'"},
        {"batch = 0", "run.cfg:1: batch: '0' is not an integer from 1 to 10000000"},
        {"batch = 1.5", "run.cfg:1: batch: '1.5' is not an integer from 1 to 10000000"},
        {"batch =", "run.cfg:1: batch: '' is not an integer from 1 to 10000000"},
        {"steps = 99999999999999999999",
         "run.cfg:1: steps: '99999999999999999999' is not an integer from 0 to "
         "1000000000000"},
        {"flip = 2", "run.cfg:1: flip: '2' is not a number from 0 to 1"},
        {"flip = nan", "run.cfg:1: flip: 'nan' is not a number from 0 to 1"},
        {"lr = 1e-3x", "run.cfg:1: lr: '1e-3x' is not a number from 0 to 1000"},
        {"loss = clip", "run.cfg:1: loss: 'clip' is none of infonce|siglip|triplet"},
        {"loss = infonce|siglip", "run.cfg:1: loss: 'infonce|siglip' is none of infonce|siglip|triplet"},
        {"recompute = maybe", "run.cfg:1: recompute: 'maybe' is neither true nor false"},
        {"seed = 1\nlr = 1\nseed = 2", "run.cfg:3: 'seed' is set twice in this file"},
        {"model.a = 1\nmodel.a = 2", "run.cfg:2: 'model.a' is set twice in this file"},
        {"out = \"x", "run.cfg:1: the quoted value is not closed or not understood"},
        {"out = \"x\" y", "run.cfg:1: the quoted value is not closed or not understood"},
        {"out = \"\\q\"", "run.cfg:1: the quoted value is not closed or not understood"},
    };
    kin_ctx cx = {0};
    kin_config c;
    assert_int_equal(kin_config_init(&cx, &c), KIN_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        parse(&cx, &c, bad[i].text);
        assert_string_equal(cx.message, bad[i].message);
    }
    kin_clear(&cx);
    assert_int_equal(kin_config_parse(&cx, &c, "x", "a\0b", 3), KIN_FORMAT);
    kin_clear(&cx);
    assert_int_equal(kin_config_load(&cx, &c, "/nowhere/at/all.cfg"), KIN_IO);
    kin_config_free(&c);
}

static char *file_with(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/kin-test-config-XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void flags_lie_over_files(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_config c;
    char *path = file_with("batch = 32\nlr = 0.01\nmodel.text.layers = 4\nflip = 0.5\n");
    assert_int_equal(kin_config_init(&cx, &c), KIN_OK);
    char *args[] = {"--batch",  "16",          "--recompute", "--config", path,
                    "--seed=7", "--out=a=b",   "--dry-run",   "no",       "--model.text.layers",
                    "6",        "--model.x=y", "--min-lr",    "0"};
    assert_int_equal(kin_config_args(&cx, &c, sizeof args / sizeof *args, args), KIN_OK);
    unlink(path);
    assert_int_equal(c.batch, 16);
    assert_true(c.lr == 0.01 && c.flip == 0.5);
    assert_true(c.recompute);
    assert_false(c.dry_run);
    assert_int_equal(c.seed, 7);
    assert_string_equal(c.out, "a=b");
    assert_int_equal(c.override_count, 2);
    assert_string_equal(c.overrides[0].value, "6");
    assert_string_equal(c.overrides[1].path, "x");

    /* Saved and read again: the same options, overrides included. */
    assert_int_equal(kin_config_set(&cx, &c, "model.note", " \"a\\b\" # c\t"), KIN_OK);
    assert_int_equal(kin_config_set(&cx, &c, "lr", "0.1000000000000000055"), KIN_OK);
    assert_int_equal(kin_config_set(&cx, &c, "eps", "1.2345678901234567e-8"), KIN_OK);
    char *saved = file_with("");
    assert_int_equal(kin_config_save(&cx, &c, saved), KIN_OK);
    kin_config d;
    assert_int_equal(kin_config_init(&cx, &d), KIN_OK);
    assert_int_equal(kin_config_load(&cx, &d, saved), KIN_OK);
    unlink(saved);
    assert_true(d.lr == c.lr && d.eps == c.eps);
    assert_string_equal(d.overrides[2].value, " \"a\\b\" # c\t");
    char *a = kin_config_text(&cx, &c), *b = kin_config_text(&cx, &d);
    assert_string_equal(a, b);
    assert_non_null(strstr(a, "\nlr = 0.1\n"));
    free(a);
    free(b);
    kin_config_free(&c);
    kin_config_free(&d);
}

static void bad_flags_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *args[2], *message;
    } bad[] = {
        {{"train", NULL}, "'train' is not expected here; options are --key value"},
        {{"--", NULL}, "'--' is not expected here; options are --key value"},
        {{"-b", "3"}, "'-b' is not expected here; options are --key value"},
        {{"--batch", NULL}, "--batch needs a value"},
        {{"--batch", "--seed=1"}, "--batch needs a value"},
        {{"--config", NULL}, "--config needs a value"},
        {{"--model.x", NULL}, "--model.x needs a value"},
        {{"--stop", NULL}, "no option is called 'stop'; did you mean 'steps'?"},
        {{"--recompute", "perhaps"}, "recompute: 'perhaps' is neither true nor false"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kin_ctx cx = {0};
        kin_config c;
        assert_int_equal(kin_config_init(&cx, &c), KIN_OK);
        assert_int_not_equal(
            kin_config_args(&cx, &c, bad[i].args[1] ? 2 : 1, (char **)(uintptr_t)bad[i].args), KIN_OK);
        assert_string_equal(cx.message, bad[i].message);
        kin_config_free(&c);
    }
}

static void help_names_every_key(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    char *help = kin_config_help(&cx);
    assert_non_null(help);
#define KEY(name, key, type, absent, min, max, line) assert_non_null(strstr(help, "  --" key " "));
#include "train/config.def"
#undef KEY
    assert_non_null(strstr(help, "peak learning rate (0.001)"));
    assert_non_null(strstr(help, "infonce|siglip|triplet"));
    free(help);
}

/* The choices of `loss` and the rows of nn/loss.c are the same names. */
static void every_loss_is_a_choice(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_config c;
    int rows = 0, choices = 1;
    assert_int_equal(kin_config_init(&cx, &c), KIN_OK);
    for (; kin_losses[rows].name; rows++)
        assert_int_equal(kin_config_set(&cx, &c, "loss", kin_losses[rows].name), KIN_OK);
    kin_config_set(&cx, &c, "loss", "none of them");
    for (const char *p = strstr(cx.message, " is none of "); *p; p++) choices += *p == '|';
    assert_int_equal(rows, choices);
    kin_config_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_valid),     cmocka_unit_test(reads_files),
        cmocka_unit_test(errors_name_the_place),  cmocka_unit_test(flags_lie_over_files),
        cmocka_unit_test(bad_flags_say_why),      cmocka_unit_test(help_names_every_key),
        cmocka_unit_test(every_loss_is_a_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
