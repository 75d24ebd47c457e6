from hypothesis import given
from hypothesis import strategies as st

from raysweep.store.memory_cache import Cache

USES = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), max_size=60)


@given(USES)
def test_what_is_kept_fits_and_is_what_was_used_last(uses):
    cache, used, sizes = Cache(100), [], {}
    for key, size in uses:
        if cache.get(key) is None:
            cache.put(key, f"value {key}", size)
            sizes[key] = size
        used = [each for each in used if each != key] + [key]
        room, expected = 100, []
        for each in reversed(used):  # the last ones, as long as they fit
            room -= sizes[each]
            if room < 0:
                break
            expected.append(each)
        used = list(reversed(expected))
        assert all(cache._values[each][0] == f"value {each}" for each in used)
        assert list(cache._values) == used


def test_what_is_larger_than_the_limit_is_not_kept():
    cache = Cache(10)
    cache.put("small", 1, 10)
    cache.put("large", 2, 11)
    assert cache.get("large") is None
    assert cache.get("small") == 1


def test_what_is_put_twice_takes_its_room_once():
    """As two networks of the same bits do, which are known by these."""
    cache = Cache(100)
    for _ in range(3):
        cache.put("same", 1, 30)
    cache.put("other", 2, 30)
    assert cache.get("same") == 1
    assert cache.get("other") == 2
