#include "data/scenes_boxes_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

kin_words kin_say(const char *format, ...)
{
    kin_words w;
    va_list args;
    va_start(args, format);
    vsnprintf(w.s, sizeof w.s, format, args);
    va_end(args);
    return w;
}

const char *const kin_say_color[KIN_BOX_COLORS] = {"yellow", "black", "blue"};
const char *const kin_say_number[] = {"[no|zero]", "[one|1]",  "[two|2]", "[three|3]",
                                      "[four|4]",  "[five|5]", "[six|6]", "[seven|7]"};
const char *const kin_say_shape[KIN_BOX_SHAPES] = {"circle", "square", "triangle"};

kin_many kin_say_many(kin_rng *r, int most, int also)
{
    kin_many m = {.is = KIN_EXACTLY, .n = 1 + kin_below(r, most)};
    if (m.n > 2 && kin_below(r, 2)) m.n = 1 + kin_below(r, 2);
    const char *n = kin_say_number[m.n];
    const int way = kin_below(r, 20);
    if (way < 8 && also & KIN_SAY_A) {
        m.is = KIN_AT_LEAST;
        m.n = 1;
        m.lead = kin_say("a");
    } else if (way < 11) {
        m.is = KIN_AT_LEAST;
        m.lead = kin_say("[at least|at least|atleast] %s", m.n == 1 ? "[one|one|1|a]" : n);
    } else if (way < 15) {
        m.lead = kin_say("[exactly|exactly|only] %s", n);
    } else if (way == 19 && also & KIN_SAY_NO) {
        m.n = 0;
        m.lead = kin_say("no");
        m.plural = kin_below(r, 2);
        return m;
    } else {
        m.lead = kin_say("%s", n);
    }
    m.plural = m.n > 1;
    return m;
}

static kin_kind named(const char *color, const char *noun, kin_box_what what)
{
    const char *blank = *color ? " " : "";
    return (kin_kind){what, kin_say("%s%s%s", color, blank, noun), kin_say("%s%s%ss", color, blank, noun)};
}

kin_kind kin_say_block(int color)
{
    return named(kin_say_color[color], "block", (kin_box_what){.colors = 1u << color});
}

kin_kind kin_say_thing(kin_rng *r, kin_thing which)
{
    static const int eighths[][4] = {
        [KIN_ANY_THING] = {1, 3, 3, 1}, [KIN_A_THING] = {0, 4, 3, 1}, [KIN_A_COLORED] = {0, 5, 3, 0}};
    kin_box_what w = {0};
    int way = 0;
    for (int left = kin_below(r, 8); left >= eighths[which][way]; way++) left -= eighths[which][way];
    const int color = kin_say_any_color(r), shape = kin_below(r, KIN_BOX_SHAPES);
    if (way == 1 || way == 2) w.colors = 1u << color;
    if (way >= 2) w.shapes = 1u << shape;
    return named(w.colors ? kin_say_color[color] : "", w.shapes ? kin_say_shape[shape] : "[item|item|object]",
                 w);
}

kin_words kin_say_boxes(kin_rng *r, kin_box_claim *c)
{
    const char *box = c->towers ? "tower" : "[box|box|box|grey box|grey square]";
    const char *boxes = c->towers ? "towers" : "[boxes|boxes|boxes|grey boxes|grey squares]";
    const int way = kin_below(r, 20);
    c->is = KIN_AT_LEAST;
    c->n = 1;
    if (way < 2) {
        c->n = KIN_BOXES;
        if (way == 0) return kin_say("[Each|Every] %s [has|contains]", box);
        return kin_say("[All|ll] [the||3|three] %s [have|contain]", boxes);
    }
    if (way < 5) {
        c->n = 1 + kin_below(r, 2);
        if (c->n == 1) return kin_say("[One of the|One of the|One] %s [has|contains]", box);
        return kin_say("Two [of the three|of the|] %s [have|has]", boxes);
    }
    const kin_many m = kin_say_many(r, KIN_BOXES, KIN_SAY_A | KIN_SAY_NO);
    c->is = m.is;
    c->n = m.n;
    const char *with = m.plural ? "[with|with|with|having|that have|which has|that contain]"
                                : "[with|with|with|having|that has|which has|, which has|that contains]";
    return kin_say("There %s %s %s %s", m.plural ? "are" : "is", m.lead.s, m.plural ? boxes : box, with);
}

kin_words kin_say_some(kin_rng *r, kin_box_claim *c, kin_kind k, int also, const char *where)
{
    const kin_many m = kin_say_many(r, 3, also);
    kin_box_also(c, kin_box_count(k.what, m.is, m.n));
    return kin_say("%s %s%s", m.lead.s, m.plural ? k.more.s : k.one.s, where);
}

static void some(kin_box_claim *c, int color)
{
    kin_box_also(c, kin_box_count((kin_box_what){.colors = 1u << color}, KIN_AT_LEAST, 1));
}

kin_words kin_say_colors(kin_rng *r, kin_box_claim *c)
{
    const char *noun = c->towers ? "blocks" : "[items|items|objects]";
    const int a = kin_say_any_color(r), b = (a + 1 + kin_below(r, 2)) % KIN_BOX_COLORS;
    const char *first = kin_say_color[a], *second = kin_say_color[b];
    const int way = kin_below(r, 6);
    if (way < 3) { /* nothing else, and both; or just both */
        const unsigned both = way == 0 ? 1u << a : 1u << a | 1u << b;
        some(c, a);
        if (way > 0) some(c, b);
        if (way < 2)
            kin_box_also(c, kin_box_count((kin_box_what){.colors = both, .others = true}, KIN_EXACTLY, 0));
        if (way == 0) return kin_say("[only %s %s|%s of only %s color]", first, noun, noun, first);
        if (way == 1)
            return kin_say("[only %s and %s %s|%s of only %s and %s [color|colour]]", first, second, noun,
                           noun, first, second);
        return kin_say("%s and %s %s", first, second, noun);
    }
    kin_box_also(c, (kin_box_clause){.ask = KIN_ASK_COLORS, .is = KIN_EXACTLY, .n = 6 - way});
    if (way == 3) return kin_say("%s of all [3|three] [colors|colours|different colors]", noun);
    if (way == 4) return kin_say("%s of [only |][2|two] [different |]colors", noun);
    return kin_say("%s of [only one color|the same color|the same color]", noun);
}

kin_words kin_say_one_of(const kin_say_choice *of, int n, kin_rng *r, kin_box_claim *c)
{
    int all = 0, k = 0;
    for (int i = 0; i < n; i++) all += of[i].times;
    for (int left = kin_below(r, all); left >= of[k].times; k++) left -= of[k].times;
    return of[k].say(r, c);
}

/* Draws the alternatives, the innermost first. */
static void choose(kin_rng *r, kin_words *w)
{
    for (char *end; (end = strchr(w->s, ']')) != NULL;) {
        char *start = end;
        while (start > w->s && *start != '[') start--;
        int n = 1;
        for (const char *p = start; p < end; p++) n += *p == '|';
        const char *from = start + 1;
        for (int skip = kin_below(r, n); skip > 0; from++) skip -= *from == '|';
        const size_t size = strcspn(from, "|]");
        memmove(start, from, size);
        memmove(start + size, end + 1, strlen(end + 1) + 1);
    }
}

void kin_boxes_say(kin_rng *r, bool towers, kin_box_claim *claim, char text[KIN_BOXES_TEXT])
{
    *claim = (kin_box_claim){.towers = towers};
    kin_words w = towers ? kin_say_of_towers(r, claim) : kin_say_of_items(r, claim);
    choose(r, &w);
    size_t n = 0;
    for (const char *p = w.s; *p && n + 3 < KIN_BOXES_TEXT; p++) {
        if (*p == ' ' && (p[1] == ' ' || p[1] == ',' || !p[1])) continue; /* an alternative was empty */
        text[n++] = *p;
        const bool a = n > 1 && *p == 'a' && text[n - 2] == ' ' && p[1] == ' ';
        if (a && p[2] && strchr("aeio", p[2])) text[n++] = 'n';
    }
    text[n] = 0;
    if (*text >= 'A' && *text <= 'Z' && kin_below(r, 5) == 0) *text = (char)(*text - 'A' + 'a');
    if (kin_below(r, 2)) memcpy(text + n, ".", 2);
}
