"""The text of an HTML page without its markup, compiled by numba: the tokenizer of the HTML standard (section 13.2.5) and no tree.

A tree costs what its author likes: unclosed formatting elements are opened again in every paragraph, so that `<p><b id=1><p><b id=2>...`
takes a parser memory quadratic in the text (120 kB of it: 13 GB). What a page shows needs the tags' bounds and a few elements only. Each
loop below goes forward, so the time is linear in the bytes. Of what a tree knows, this is missed: text that a frameset would lose is
counted, a CDATA section inside SVG or MathML is not, and one that does not end is closed by no other tag.
"""

import numpy as np

from starmill.transforms.jit import jit

# Elements by their content. STYLE, SCRIPT and TEMPLATE show nothing; a script ends by rules of its own. A TITLE, or a text area, holds
# references and no tags; what is RAW holds neither, and PLAIN is the text of all that follows.
NORMAL, SCRIPT, STYLE, TITLE, RAW, PLAIN, TEMPLATE, FOREIGN = range(8)
SPACES = np.array([chr(byte) in "\t\n\f\r " for byte in range(256)])
DELIMITER = SPACES | np.isin(np.arange(256), np.frombuffer(b"/>", np.uint8))
LETTERS = np.array([byte < 128 and chr(byte).isalpha() for byte in range(256)])


@jit
def is_word(data, at, end, word):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Whether the lower-case ASCII `word` stands at `at`, case ignored, and a delimiter after it."""
    if at + len(word) >= end or not DELIMITER[data[at + len(word)]]:
        return False
    same = True
    for k in range(len(word)):
        same = same and data[at + k] | 32 == word[k]
    return same


@jit
def element(data, at, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return (content, length of the name) for the tag name at `at`; the content is NORMAL for most."""
    if is_word(data, at, end, b"script"):
        return SCRIPT, 6
    if is_word(data, at, end, b"style"):
        return STYLE, 5
    if is_word(data, at, end, b"title"):
        return TITLE, 5
    if is_word(data, at, end, b"textarea"):
        return TITLE, 8
    if is_word(data, at, end, b"template"):
        return TEMPLATE, 8
    if is_word(data, at, end, b"svg"):
        return FOREIGN, 3
    if is_word(data, at, end, b"math"):
        return FOREIGN, 4
    if is_word(data, at, end, b"xmp"):
        return RAW, 3
    if is_word(data, at, end, b"iframe"):
        return RAW, 6
    if is_word(data, at, end, b"noembed"):
        return RAW, 7
    if is_word(data, at, end, b"noframes"):
        return RAW, 8
    if is_word(data, at, end, b"plaintext"):
        return PLAIN, 9
    size = 0
    while at + size < end and not DELIMITER[data[at + size]]:
        size += 1
    return NORMAL, size


@jit
def tag_end(data, at, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return (the place after the tag's `>`, whether `/` closes it) from the end of its name; a `>` in quotes is none."""
    i = at
    while i < end:
        while i < end and (SPACES[data[i]] or data[i] == 47):
            i += 1
        if i < end and data[i] == 62:
            return i + 1, data[i - 1] == 47
        i += 1  # an attribute's name; its first character may be =
        while i < end and not DELIMITER[data[i]] and data[i] != 61:
            i += 1
        while i < end and SPACES[data[i]]:
            i += 1
        if i < end and data[i] == 61:
            i += 1
            while i < end and SPACES[data[i]]:
                i += 1
            if i < end and (data[i] == 34 or data[i] == 39):
                quote = data[i]
                i += 1
                while i < end and data[i] != quote:
                    i += 1
                i += 1
            else:
                while i < end and not SPACES[data[i]] and data[i] != 62:
                    i += 1
                if i < end and data[i] == 62:
                    return i + 1, False
    return end, False


@jit
def comment_end(data, at, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the place after what begins with `<!`, `<?` or `</` at `at`: a comment, a doctype or what is taken for a comment."""
    i = at + 2
    if at + 3 < end and data[at + 1] == 33 and data[at + 2] == 45 and data[at + 3] == 45:
        i = at + 4
        if i < end and data[i] == 62:
            return i + 1
        if i + 1 < end and data[i] == 45 and data[i + 1] == 62:
            return i + 2
        while i + 2 < end:
            if data[i] == 45 and data[i + 1] == 45:
                if data[i + 2] == 62:
                    return i + 3
                if i + 3 < end and data[i + 2] == 33 and data[i + 3] == 62:
                    return i + 4
            i += 1
        return end
    while i < end and data[i] != 62:
        i += 1
    return min(i + 1, end)


@jit
def script_end(data, at, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return where the `</script` of a script's content lies: in a comment, a script inside does not end it."""
    comment, inner = False, False
    i = at
    while i < end:
        if data[i] == 60:
            if i + 3 < end and data[i + 1] == 33 and data[i + 2] == 45 and data[i + 3] == 45:
                comment = True
                i += 1  # its dashes may be those of -->
            elif comment and not inner and is_word(data, i + 1, end, b"script"):
                inner = True
            elif i + 1 < end and data[i + 1] == 47 and is_word(data, i + 2, end, b"script"):
                if not inner:
                    return i
                inner = False
        elif data[i] == 45 and i + 2 < end and data[i + 1] == 45 and data[i + 2] == 62:
            comment, inner = False, False
        i += 1
    return end


@jit
def reference(data, at, end, is_space):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return (the place after the number of `&#` at `at`, what to count for it); of `&#` without a number, the & alone is taken."""
    i = at + 2
    base = 10
    if i < end and data[i] | 32 == 120:
        i, base = i + 1, 16
    first, value = i, 0
    while i < end:
        digit = np.int64(data[i]) - 48
        if digit > 9 and base == 16:
            digit = (np.int64(data[i]) | 32) - 87
            if digit < 10:
                break
        if digit < 0 or digit >= base:
            break
        value = min(value * base + digit, len(is_space) - 1)
        i += 1
    if i == first:
        return at + 1, np.uint8(120)
    if i < end and data[i] == 59:
        i += 1
    return i, np.uint8(32 if is_space[value] and value != 0x85 else 120)  # 0x85 is an ellipsis, as in Windows


@jit
def raw_end(data, at, end, name, length):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return where, from `at`, the end tag of the element lies whose name has `length` bytes at `name`; `end` if there is none."""
    for i in range(at, end - 2 - length):
        if data[i] == 60 and data[i + 1] == 47 and DELIMITER[data[i + 2 + length]]:
            same = True
            for k in range(length):
                same = same and data[i + 2 + k] | 32 == data[name + k] | 32
            if same:
                return i
    return end


@jit
def strip(data, is_space, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the text of the page `data` to `out`, which is as long, and return its length. It is for counting.

    Of a named reference nothing changes; a numeric one becomes a space or an x, and so does an & that begins neither. `is_space[c]`:
    whether the code point c is white space.
    """
    end, size, i = len(data), 0, 0
    hidden = 0  # templates around
    foreign = False  # inside SVG or MathML, where a slash closes a tag and a title may hold tags
    tagless, raw = 0, 0  # up to here, < begins nothing; up to here, & neither
    while i < end:
        byte = data[i]
        if byte == 60 and i >= tagless and i + 1 < end:
            after = data[i + 1]
            if LETTERS[after]:
                name = i + 1
                content, length = element(data, name, end)
                i, closed = tag_end(data, name + length, end)
                if content == FOREIGN:
                    foreign = foreign or not closed
                elif content == TEMPLATE:
                    hidden += not foreign
                elif content == SCRIPT and not (foreign and closed):
                    i = script_end(data, i, end)
                elif content == STYLE and not (foreign and closed):
                    i = raw_end(data, i, end, name, length)
                elif content == TITLE and not foreign:
                    tagless = raw_end(data, i, end, name, length)
                elif content == RAW and not foreign:
                    tagless = raw = raw_end(data, i, end, name, length)
                elif content == PLAIN and not foreign:
                    tagless = raw = end
                continue
            if after == 47 and i + 2 < end and LETTERS[data[i + 2]]:
                content, length = element(data, i + 2, end)
                foreign = foreign and content != FOREIGN
                hidden -= content == TEMPLATE and hidden > 0
                i, _ = tag_end(data, i + 2 + length, end)
                continue
            if after == 33 or after == 63 or (after == 47 and i + 2 < end):
                i = comment_end(data, i, end)
                continue
        shown = byte
        at = i + 1
        if byte == 38 and (i < raw or at == end or not LETTERS[data[at]]):
            shown = np.uint8(120)
            if i >= raw and at < end and data[at] == 35:
                at, shown = reference(data, i, end, is_space)
        if hidden == 0:
            out[size] = shown
            size += 1
        i = at
    return size
