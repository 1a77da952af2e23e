/* Copies in the background (cp.async): each thread's, group by group, until it waits for them. */
#include <deque>

#include <tensor.h>

#undef copies_mark

namespace cuemu
{
struct started {
    copy what;
    int64_t group;
};
struct copies {
    std::deque<started> list;
    int64_t group; /* the open one */
};
static copies of_thread[1024];

static int me()
{
    const triple &t = thread(), &n = grid().threads;
    return (int)(t.x + n.x * (t.y + n.y * t.z));
}

void copy_later(copy c)
{
    copies &mine = of_thread[me()];
    mine.list.push_back({c, mine.group});
}

void copies_mark()
{
    of_thread[me()].group++;
}

bool copies_next(int groups, copy *c)
{
    copies &mine = of_thread[me()];
    if (mine.list.empty() || mine.list.front().group >= mine.group - groups) return false;
    *c = mine.list.front().what;
    mine.list.pop_front();
    return true;
}

bool copies_left(int thread)
{
    return !of_thread[thread].list.empty();
}
} // namespace cuemu
