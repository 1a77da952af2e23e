/* scenes_boxes: claims are held against boxes made by hand; pictures are looked at pixel by pixel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/scenes_boxes_claim.h"

/* ---- claims ---- */

enum { Y = KIN_BOX_YELLOW, K = KIN_BOX_BLACK, B = KIN_BOX_BLUE };

/* Towers from below: "YKB" is a blue block on a black one on a yellow one. */
static kin_boxes towers(const char *a, const char *b, const char *c)
{
    kin_boxes s = {.towers = true};
    const char *const of[] = {a, b, c};
    for (int t = 0; t < KIN_BOXES; t++)
        for (const char *p = of[t]; *p; p++) {
            const int i = s.items[t]++;
            s.item[t][i] = (kin_box_item){.color = *p == 'Y'   ? Y
                                                   : *p == 'K' ? K
                                                               : B,
                                          .shape = KIN_BOX_SQUARE,
                                          .side = 20,
                                          .x = 40,
                                          .y = 80 - 21 * i};
        }
    return s;
}

static kin_box_claim boxes_with(kin_box_compare is, int n, kin_box_clause k)
{
    return (kin_box_claim){.is = is, .n = n, .clauses = 1, .clause = {k}};
}

static kin_box_claim in_all(kin_box_clause k)
{
    return (kin_box_claim){.whole = true, .clauses = 1, .clause = {k}};
}

static bool holds(const kin_boxes *s, kin_box_claim c)
{
    return kin_boxes_hold(s, &c);
}

static kin_box_clause count(kin_box_what what, kin_box_compare is, int n)
{
    return (kin_box_clause){.ask = KIN_ASK_COUNT, .what = what, .is = is, .n = n};
}

static void test_claims_about_towers(void **state)
{
    (void)state;
    const kin_boxes s = towers("YKB", "KK", "BKYK");
    const kin_box_what black = {.colors = 1u << K}, top = {.colors = 1u << K, .rank = KIN_RANK_HIGHEST},
                       base = {.colors = 1u << B, .rank = KIN_RANK_LOWEST},
                       second = {.colors = 1u << K, .rank = KIN_RANK_SECOND},
                       last_but_one = {.colors = 1u << Y, .rank = KIN_RANK_SECOND_HIGHEST},
                       middle = {.colors = 1u << K, .rank = KIN_RANK_BETWEEN};
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 2, count(top, KIN_AT_LEAST, 1))));
    assert_false(holds(&s, boxes_with(KIN_EXACTLY, 3, count(top, KIN_AT_LEAST, 1))));
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, count(base, KIN_AT_LEAST, 1))));
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 3, count(second, KIN_EXACTLY, 1))));
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, count(last_but_one, KIN_EXACTLY, 1))));
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 2, count(middle, KIN_EXACTLY, 1))));
    assert_true(holds(&s, in_all(count(black, KIN_EXACTLY, 5))));
    assert_false(holds(&s, in_all(count(black, KIN_AT_MOST, 4))));
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, count((kin_box_what){0}, KIN_EXACTLY, 4))));
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 2, count((kin_box_what){0}, KIN_AT_LEAST, 3))));
    const kin_box_what others = {.colors = 1u << K, .others = true};
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, count(others, KIN_EXACTLY, 0))));
    kin_box_clause k = {.ask = KIN_ASK_COLORS, .is = KIN_EXACTLY, .n = 3};
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 2, k)));
    k = (kin_box_clause){.ask = KIN_ASK_RUN, .what = black, .is = KIN_AT_LEAST, .n = 2};
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, k)));
    k = (kin_box_clause){
        .ask = KIN_ASK_ON, .what = {.colors = 1u << B}, .other = black, .is = KIN_AT_LEAST, .n = 1};
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, k))); /* blue on black: the first */
    k.what = (kin_box_what){.colors = 1u << Y};
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, k))); /* yellow on black: the last */
    k.other = (kin_box_what){.colors = 1u << B};
    assert_false(holds(&s, boxes_with(KIN_AT_LEAST, 1, k))); /* not right on blue */
    k.ask = KIN_ASK_ABOVE;
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, k))); /* but above it */
}

static void test_claims_about_three_towers(void **state)
{
    (void)state;
    static const struct {
        const char *tower[3];
        int level, base, top;
    } cases[] = {
        {{"YKB", "KK", "BKYK"}, 1, 1, 2}, {{"Y", "Y", "YK"}, 2, 3, 2}, {{"BBK", "KKB", "YYY"}, 3, 1, 1}};
    for (int i = 0; i < 3; i++) {
        const kin_boxes s = towers(cases[i].tower[0], cases[i].tower[1], cases[i].tower[2]);
        const int have[] = {cases[i].level, cases[i].base, cases[i].top};
        static const kin_box_ask ask[] = {KIN_ASK_LEVEL, KIN_ASK_ALIKE_BASE, KIN_ASK_ALIKE_TOP};
        for (int k = 0; k < 3; k++)
            for (int n = 1; n <= 3; n++) {
                const kin_box_clause c = {.ask = ask[k], .is = KIN_EXACTLY, .n = n};
                assert_int_equal(holds(&s, in_all(c)), n == have[k]);
            }
    }
}

static void test_claims_about_items(void **state)
{
    (void)state;
    kin_boxes s = {.items = {4, 1, 0}};
    s.item[0][0] = (kin_box_item){Y, KIN_BOX_CIRCLE, 20, 0, 80};    /* in a corner */
    s.item[0][1] = (kin_box_item){K, KIN_BOX_TRIANGLE, 30, 50, 70}; /* on the base */
    s.item[0][2] = (kin_box_item){B, KIN_BOX_SQUARE, 10, 60, 60};   /* on the triangle */
    s.item[0][3] = (kin_box_item){B, KIN_BOX_SQUARE, 10, 89, 1};    /* nearly in a corner */
    s.item[1][0] = (kin_box_item){B, KIN_BOX_CIRCLE, 10, 90, 40};   /* at the right */
    static const struct {
        kin_box_place place;
        int touch;
    } at[] = {{KIN_PLACE_WALL, 3}, {KIN_PLACE_SIDE, 2}, {KIN_PLACE_LEFT, 1},  {KIN_PLACE_RIGHT, 1},
              {KIN_PLACE_BASE, 2}, {KIN_PLACE_TOP, 0},  {KIN_PLACE_CORNER, 1}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        assert_true(holds(&s, in_all(count((kin_box_what){.place = at[i].place}, KIN_EXACTLY, at[i].touch))));
        const kin_box_what away = {.place = at[i].place, .away = true};
        assert_true(holds(&s, in_all(count(away, KIN_EXACTLY, 5 - at[i].touch))));
    }
    const kin_box_what blue = {.colors = 1u << B}, circle = {.shapes = 1u << KIN_BOX_CIRCLE},
                       black = {.colors = 1u << K}, small = {.side = KIN_BOX_SMALL};
    assert_true(holds(&s, in_all(count(blue, KIN_EXACTLY, 3))));
    assert_true(holds(&s, in_all(count(circle, KIN_EXACTLY, 2))));
    assert_true(holds(&s, in_all(count(small, KIN_EXACTLY, 3))));
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 2, count(blue, KIN_AT_LEAST, 1))));
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, count((kin_box_what){0}, KIN_EXACTLY, 0))));
    kin_box_what top = blue;
    top.rank = KIN_RANK_HIGHEST;
    assert_true(holds(&s, in_all(count(top, KIN_EXACTLY, 2)))); /* of each box */
    kin_box_clause k = {.ask = KIN_ASK_ON, .what = blue, .other = black, .is = KIN_EXACTLY, .n = 1};
    assert_true(holds(&s, in_all(k)));
    k.ask = KIN_ASK_ABOVE;
    k.n = 2;
    assert_true(holds(&s, in_all(k)));
    k = (kin_box_clause){.ask = KIN_ASK_MORE, .what = blue, .other = black, .is = KIN_EXACTLY, .n = 2};
    assert_true(holds(&s, in_all(k)));
    k = (kin_box_clause){.ask = KIN_ASK_SHAPES, .is = KIN_EXACTLY, .n = 3};
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, k)));
    k = (kin_box_clause){.ask = KIN_ASK_ALIKE, .is = KIN_EXACTLY, .n = 2};
    assert_true(holds(&s, boxes_with(KIN_EXACTLY, 1, k))); /* two squares */
    kin_box_claim two = boxes_with(KIN_EXACTLY, 1, count(blue, KIN_EXACTLY, 2));
    two.clause[two.clauses++] = count(circle, KIN_EXACTLY, 1);
    assert_true(holds(&s, two));
    two.clause[1].n = 2;
    assert_false(holds(&s, two));
}

/* ---- pictures ---- */

static const uint8_t *pixel(const uint8_t *p, int side, int x, int y)
{
    return p + 3 * (4 * side * y + x);
}

static void assert_pixel(const uint8_t *p, int side, int x, int y, int red, int green, int blue)
{
    const uint8_t *at = pixel(p, side, x, y);
    if (at[0] != red || at[1] != green || at[2] != blue)
        fail_msg("(%d, %d) is %d %d %d, not %d %d %d", x, y, at[0], at[1], at[2], red, green, blue);
}

static void test_draws(void **state)
{
    (void)state;
    static uint8_t p[400 * 100 * 3], large[1600 * 400 * 3];
    const kin_boxes t = towers("YK", "", "B");
    kin_boxes_draw(&t, 100, p);
    for (int x = 0; x < 400; x += 399) /* boxes end where the picture does, the ground is between them */
        assert_pixel(p, 100, x, 0, 211, 211, 211);
    assert_pixel(p, 100, 99, 50, 211, 211, 211);
    assert_pixel(p, 100, 100, 50, 128, 128, 128);
    assert_pixel(p, 100, 149, 50, 128, 128, 128);
    assert_pixel(p, 100, 150, 50, 211, 211, 211);
    assert_pixel(p, 100, 40, 99, 255, 255, 0); /* blocks of 20, a pixel apart */
    assert_pixel(p, 100, 59, 80, 255, 255, 0);
    assert_pixel(p, 100, 39, 90, 211, 211, 211);
    assert_pixel(p, 100, 60, 90, 211, 211, 211);
    assert_pixel(p, 100, 50, 79, 211, 211, 211);
    assert_pixel(p, 100, 50, 78, 0, 0, 0);
    assert_pixel(p, 100, 50, 59, 0, 0, 0);
    assert_pixel(p, 100, 50, 58, 211, 211, 211);
    assert_pixel(p, 100, 350, 90, 0, 153, 255);
    kin_boxes s = {.items = {2, 0, 0}};
    s.item[0][0] = (kin_box_item){K, KIN_BOX_CIRCLE, 30, 10, 10};
    s.item[0][1] = (kin_box_item){Y, KIN_BOX_TRIANGLE, 20, 60, 70};
    kin_boxes_draw(&s, 100, p);
    assert_pixel(p, 100, 25, 10, 0, 0, 0); /* the circle from 10 to 39, without its corners */
    assert_pixel(p, 100, 10, 25, 0, 0, 0);
    assert_pixel(p, 100, 39, 25, 0, 0, 0);
    assert_pixel(p, 100, 13, 13, 211, 211, 211);
    assert_pixel(p, 100, 36, 36, 211, 211, 211);
    assert_pixel(p, 100, 69, 89, 255, 255, 0); /* the triangle: wide below, a point above */
    assert_pixel(p, 100, 60, 70, 211, 211, 211);
    assert_pixel(p, 100, 79, 70, 211, 211, 211);
    assert_pixel(p, 100, 70, 75, 255, 255, 0);
    assert_pixel(p, 100, 69, 90, 211, 211, 211);
    kin_boxes_draw(&s, 400, large); /* the same four times as large: means of 4 x 4 pixels */
    for (int y = 0; y < 100; y++)
        for (int x = 0; x < 400; x++)
            for (int c = 0; c < 3; c++) {
                int sum = 0;
                for (int k = 0; k < 16; k++) sum += pixel(large, 400, 4 * x + k % 4, 4 * y + k / 4)[c];
                assert_in_range(pixel(p, 100, x, y)[c] * 16 + 400, sum, sum + 800);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims_about_towers),
        cmocka_unit_test(test_claims_about_three_towers),
        cmocka_unit_test(test_claims_about_items),
        cmocka_unit_test(test_draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
