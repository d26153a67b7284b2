/*
 * The native part: the few steps of capturing and reading that Python makes dear.
 *
 * Everything here has a twin in Python, which is used where no compiler was at hand when the
 * package was installed, and on builds of Python without the interpreter's lock. One test-suite
 * runs over both.
 *
 *     wire_time(milliseconds)      penstock.timestamps
 *     now()                        penstock.timestamps
 *     is_plain(value, levels)      penstock.values._quick
 *     weigh(value, levels, most)   penstock.values._weight
 *     Pen                          penstock.journal._pen
 *     scan(...)                    penstock.journal.record
 *     run_of(...)                  penstock.journal.record
 *
 * What makes it short: `Pen.append` runs no Python code between reserving a place and writing
 * the header, so neither another thread nor a signal handler can come in between, and no lock is
 * needed.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/* penstock.journal.record has the reasons for these. */
#define MAGIC_LOW 0x50
#define MAGIC_HIGH 0x4e
#define HEADER_BYTES 24
#define ALIGN 8
#define SEAL_PRIME 4294967291ULL
#define VOID 0
#define LATEST 0xffffffffLL

/*
 * A message of more JSON, in about as many bytes, is left to the careful way, which bounds what it
 * writes. An object that is in a message twice counts twice, as it is written twice.
 */
#define MAX_WEIGHT 1000000
#define VALUE_WEIGHT 2 /* itself and a comma; for a container, its brackets */
#define TEXT_WEIGHT 3  /* quotes and a comma or colon, beside the characters */

/* ---- time ---------------------------------------------------------------------------------- */

#define DAY_MS 86400000LL
/* From the first of March of the year 0, when the 400 years of the calendar begin, to 1970. */
#define DAYS_TO_EPOCH 719468LL
#define DAYS_OF_ERA 146097LL

typedef struct {
    int year, month, day;
} Date;

/* The proleptic Gregorian date of a day counted from 1970; of the years 0 to 9999. */
static Date
date_of(long long days)
{
    long long since = days + DAYS_TO_EPOCH;
    long long era = since / DAYS_OF_ERA;
    int day_of_era = (int)(since % DAYS_OF_ERA);
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month = (5 * day_of_year + 2) / 153; /* 0 is March */
    Date date = {
        .year = (int)(era * 400) + year_of_era + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = day_of_year - (153 * month + 2) / 5 + 1,
    };
    return date;
}

static char *
digits(char *at, int number, int count)
{
    for (int index = count - 1; index >= 0; index--, number /= 10) {
        at[index] = (char)('0' + number % 10);
    }
    return at + count;
}

PyDoc_STRVAR(wire_time_doc,
"wire_time(milliseconds, /)\n--\n\n"
"``2026-03-01T10:20:30.123Z`` of milliseconds since 1970; see penstock.timestamps.\n\n"
"Raises ValueError outside of the years 1 to 9999, OverflowError far from them.");

static PyObject *
wire_text(long long milliseconds)
{
    if (milliseconds < -62135596800000LL || milliseconds > 253402300799999LL) {
        PyErr_SetString(PyExc_ValueError, "year is out of range");
        return NULL;
    }
    long long days = milliseconds / DAY_MS - (milliseconds % DAY_MS < 0);
    int of_day = (int)(milliseconds - days * DAY_MS);
    Date date = date_of(days);
    char text[24], *at = text;
    at = digits(at, date.year, 4);
    *at++ = '-';
    at = digits(at, date.month, 2);
    *at++ = '-';
    at = digits(at, date.day, 2);
    *at++ = 'T';
    at = digits(at, of_day / 3600000, 2);
    *at++ = ':';
    at = digits(at, of_day / 60000 % 60, 2);
    *at++ = ':';
    at = digits(at, of_day / 1000 % 60, 2);
    *at++ = '.';
    at = digits(at, of_day % 1000, 3);
    *at++ = 'Z';
    return PyUnicode_FromStringAndSize(text, at - text);
}

static PyObject *
wire_time(PyObject *Py_UNUSED(module), PyObject *argument)
{
    long long milliseconds = PyLong_AsLongLong(argument);
    if (milliseconds == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return wire_text(milliseconds);
}

PyDoc_STRVAR(now_doc,
"now()\n--\n\n"
"This moment: ``(seconds since 1970 as a record has them, text as of wire_time)``.");

static PyObject *
now(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    struct timespec moment;
    if (!timespec_get(&moment, TIME_UTC)) {
        PyErr_SetString(PyExc_OSError, "the system has no clock");
        return NULL;
    }
    PyObject *both = PyTuple_New(2);
    if (both == NULL) {
        return NULL;
    }
    long long seconds = Py_MIN(Py_MAX((long long)moment.tv_sec, 0), LATEST);
    PyTuple_SET_ITEM(both, 0, PyLong_FromLongLong(seconds));
    PyTuple_SET_ITEM(both, 1, wire_text(moment.tv_sec * 1000LL + moment.tv_nsec / 1000000));
    if (PyTuple_GET_ITEM(both, 0) == NULL || PyTuple_GET_ITEM(both, 1) == NULL) {
        Py_CLEAR(both);
    }
    return both;
}

/* ---- JSON values --------------------------------------------------------------------------- */

static int is_plain_value(PyObject *value, Py_ssize_t levels, Py_ssize_t *left);

static int
is_plain_dict(PyObject *value, Py_ssize_t levels, Py_ssize_t *left)
{
    Py_ssize_t position = 0;
    PyObject *key, *child;
    while (PyDict_Next(value, &position, &key, &child)) {
        if (!PyUnicode_CheckExact(key) || !is_plain_value(key, levels, left) ||
            !is_plain_value(child, levels, left)) {
            return 0;
        }
    }
    return 1;
}

static int
is_plain_sequence(PyObject **items, Py_ssize_t count, Py_ssize_t levels, Py_ssize_t *left)
{
    for (Py_ssize_t index = 0; index < count; index++) {
        if (!is_plain_value(items[index], levels, left)) {
            return 0;
        }
    }
    return 1;
}

/* Runs no Python code, so nothing can change a container while we stand in it. */
static int
is_plain_value(PyObject *value, Py_ssize_t levels, Py_ssize_t *left)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type) {
        *left -= PyUnicode_GET_LENGTH(value) + TEXT_WEIGHT;
        return *left >= 0;
    }
    *left -= VALUE_WEIGHT;
    if (*left < 0) {
        return 0;
    }
    if (type == &PyLong_Type || type == &PyBool_Type || value == Py_None) {
        return 1;
    }
    if (type == &PyFloat_Type) {
        return isfinite(PyFloat_AS_DOUBLE(value));
    }
    if (levels <= 0) {
        return 0;
    }
    if (PyDict_Check(value)) { /* and its subclasses: the catalogues */
        return is_plain_dict(value, levels - 1, left);
    }
    if (type == &PyList_Type) {
        PyListObject *list = (PyListObject *)value;
        return is_plain_sequence(list->ob_item, Py_SIZE(list), levels - 1, left);
    }
    if (type == &PyTuple_Type) {
        PyTupleObject *tuple = (PyTupleObject *)value;
        return is_plain_sequence(tuple->ob_item, Py_SIZE(tuple), levels - 1, left);
    }
    return 0;
}

PyDoc_STRVAR(is_plain_doc,
"is_plain(value, levels, /)\n--\n\n"
"Whether JSON carries *value* without a loss, as far as types and finiteness go.\n\n"
"True only for str, int, finite float, bool, None, and lists, tuples and dicts (with their\n"
"subclasses, read by what they store, under keys of exactly str) of them, at most *levels*\n"
"containers inside each other.");

static PyObject *
is_plain(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t levels, left = MAX_WEIGHT;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "is_plain takes a value and a number of levels");
        return NULL;
    }
    levels = PyLong_AsSsize_t(args[1]);
    if (levels == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return PyBool_FromLong(is_plain_value(args[0], levels, &left));
}

PyDoc_STRVAR(weigh_doc,
"weigh(value, levels, most, /)\n--\n\n"
"About how many bytes of JSON *value* comes to, at most *most*; negative when it is not plain,\n"
"as is_plain has it, or comes to more: then so much was looked at.");

static PyObject *
weigh(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *value;
    Py_ssize_t levels, most;
    if (!PyArg_ParseTuple(args, "Onn", &value, &levels, &most)) {
        return NULL;
    }
    Py_ssize_t left = most;
    int plain = is_plain_value(value, levels, &left);
    Py_ssize_t weight = left < 0 ? most : most - left;
    return PyLong_FromSsize_t(plain ? weight : -weight);
}

/* ---- records ------------------------------------------------------------------------------- */

static void
store(unsigned char *at, uint64_t number, int bytes)
{
    for (int index = 0; index < bytes; index++) {
        at[index] = (unsigned char)(number >> (8 * index));
    }
}

static uint64_t
load(const unsigned char *at, int bytes)
{
    uint64_t number = 0;
    for (int index = 0; index < bytes; index++) {
        number |= (uint64_t)at[index] << (8 * index);
    }
    return number;
}

typedef struct {
    uint64_t kind, flags, length, crc, captured_at, ordinal;
} Header;

/* penstock.journal.record.seal */
static uint64_t
seal(uint64_t payload_crc, const Header *header)
{
    uint64_t mixed = header->captured_at ^ header->ordinal ^ (header->length << 8) ^
                     (header->kind << 24) ^ (header->flags << 16);
    return payload_crc ^ (mixed % SEAL_PRIME);
}

static void
write_header(unsigned char *at, const Header *header)
{
    unsigned char bytes[HEADER_BYTES] = {MAGIC_LOW, MAGIC_HIGH};
    bytes[2] = (unsigned char)header->kind;
    bytes[3] = (unsigned char)header->flags;
    store(bytes + 4, header->length, 4);
    store(bytes + 8, header->crc, 4);
    store(bytes + 12, header->captured_at, 4);
    store(bytes + 16, header->ordinal, 8);
    memcpy(at, bytes, HEADER_BYTES);
}

static int
read_header(const unsigned char *at, Header *header)
{
    header->kind = at[2];
    header->flags = at[3];
    header->length = load(at + 4, 4);
    header->crc = load(at + 8, 4);
    header->captured_at = load(at + 12, 4);
    header->ordinal = load(at + 16, 8);
    return at[0] == MAGIC_LOW && at[1] == MAGIC_HIGH && header->ordinal > 0;
}

/* The CRC-32 of bytes by *checksum*, a callable; -1 with an error set. */
static int64_t
crc_of(PyObject *checksum, PyObject *payload)
{
    PyObject *result = PyObject_CallOneArg(checksum, payload);
    if (result == NULL) {
        return -1;
    }
    int64_t crc = PyLong_AsLongLong(result);
    Py_DECREF(result);
    return crc;
}

/* ---- the pen ------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Py_buffer page;
    PyObject *checksum;
    PyObject *voids;
    Py_ssize_t tail;
    Py_ssize_t limit;
    long long ordinal;
    long long wake_ordinal;
} Pen;

static int
pen_init(Pen *self, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *checksum;
    if (!PyArg_ParseTuple(args, "O:Pen", &checksum)) {
        return -1;
    }
    PyObject *voids = PyList_New(0);
    if (voids == NULL) {
        return -1;
    }
    Py_XSETREF(self->checksum, Py_NewRef(checksum));
    Py_XSETREF(self->voids, voids);
    self->wake_ordinal = LLONG_MAX;
    return 0;
}

static int
pen_traverse(Pen *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->page.obj);
    Py_VISIT(self->checksum);
    Py_VISIT(self->voids);
    return 0;
}

static int
pen_clear(Pen *self)
{
    self->tail = self->limit = 0;
    PyBuffer_Release(&self->page); /* nothing to do where none is held */
    Py_CLEAR(self->checksum);
    Py_CLEAR(self->voids);
    return 0;
}

static void
pen_dealloc(Pen *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    pen_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(pen_turn_doc,
"turn(page, tail, /)\n--\n\n"
"Write on *page* from *tail* on, once *limit* allows it, and let go of the page before.");

static PyObject *
pen_turn(Pen *self, PyObject *args)
{
    PyObject *page;
    Py_ssize_t tail;
    Py_buffer view;
    if (!PyArg_ParseTuple(args, "On", &page, &tail) ||
        PyObject_GetBuffer(page, &view, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    self->limit = self->limit < 0 ? self->limit : 0;
    PyBuffer_Release(&self->page);
    self->page = view;
    self->tail = tail;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(pen_append_doc,
"append(kind, flags, captured_at, payload, /)\n--\n\n"
"Write one record.\n\n"
"Returns its ordinal; 0 when it would pass the limit, and nothing was written; the negative\n"
"ordinal when it was written and `wake_ordinal` is reached.");

static PyObject *
pen_append(Pen *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 4 || !PyBytes_CheckExact(args[3])) {
        PyErr_SetString(PyExc_TypeError, "append takes a kind, flags, a time and bytes");
        return NULL;
    }
    Header header = {
        .kind = PyLong_AsUnsignedLongMask(args[0]) & 0xff,
        .flags = PyLong_AsUnsignedLongMask(args[1]) & 0xff,
        .captured_at = PyLong_AsUnsignedLongMask(args[2]) & 0xffffffff,
        .length = (uint64_t)PyBytes_GET_SIZE(args[3]),
    };
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_ssize_t size = (Py_ssize_t)((header.length + HEADER_BYTES + ALIGN - 1) & -(uint64_t)ALIGN);
    if (self->tail + size > self->limit) {
        return PyLong_FromLong(0);
    }
    /* The checksum of many bytes may let other threads run: before the place is reserved. */
    int64_t crc = crc_of(self->checksum, args[3]);
    if (crc == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (self->tail + size > self->limit || self->limit > self->page.len) {
        return PyLong_FromLong(0);
    }
    header.ordinal = (uint64_t)++self->ordinal;
    header.crc = seal((uint64_t)crc, &header);
    unsigned char *place = (unsigned char *)self->page.buf + self->tail;
    self->tail += size;
    memcpy(place + HEADER_BYTES, PyBytes_AS_STRING(args[3]), header.length);
    atomic_signal_fence(memory_order_release); /* a record counts once its header is there */
    write_header(place, &header);
    return PyLong_FromLongLong(self->ordinal >= self->wake_ordinal ? -self->ordinal
                                                                   : self->ordinal);
}

static PyMethodDef pen_methods[] = {
    {"turn", (PyCFunction)pen_turn, METH_VARARGS, pen_turn_doc},
    {"append", (PyCFunction)(void (*)(void))pen_append, METH_FASTCALL, pen_append_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef pen_members[] = {
    {"tail", T_PYSSIZET, offsetof(Pen, tail), READONLY, "Where the next record goes."},
    {"limit", T_PYSSIZET, offsetof(Pen, limit), 0, "No record ends beyond; below 0: closed."},
    {"ordinal", T_LONGLONG, offsetof(Pen, ordinal), 0, "Of the last record."},
    {"wake_ordinal", T_LONGLONG, offsetof(Pen, wake_ordinal), 0, "See `append`."},
    {"voids", T_OBJECT_EX, offsetof(Pen, voids), 0, "Ordinals whose writers were interrupted."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot pen_slots[] = {
    {Py_tp_doc, "Writes records one after the other into a page; see penstock.journal._pen."},
    {Py_tp_init, pen_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, pen_dealloc},
    {Py_tp_traverse, pen_traverse},
    {Py_tp_clear, pen_clear},
    {Py_tp_methods, pen_methods},
    {Py_tp_members, pen_members},
    {0, NULL},
};

static PyType_Spec pen_spec = {
    .name = "penstock._native.Pen",
    .basicsize = sizeof(Pen),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = pen_slots,
};

/* ---- reading ------------------------------------------------------------------------------- */

/* Offset of the next possible record at or after a multiple of eight; *end* if there is none. */
static Py_ssize_t
next_magic(const unsigned char *page, Py_ssize_t offset, Py_ssize_t end)
{
    for (; offset + 2 <= end; offset += ALIGN) {
        if (page[offset] == MAGIC_LOW && page[offset + 1] == MAGIC_HIGH) {
            return offset;
        }
    }
    return end;
}

/* A tuple (ordinal, kind, flags, captured_at, payload) of a subclass of tuple. */
static PyObject *
make_record(PyTypeObject *type, const Header *header, PyObject *payload)
{
    PyObject *record = type->tp_alloc(type, 5);
    if (record == NULL) {
        return NULL;
    }
    PyTuple_SET_ITEM(record, 0, PyLong_FromUnsignedLongLong(header->ordinal));
    PyTuple_SET_ITEM(record, 1, PyLong_FromUnsignedLongLong(header->kind));
    PyTuple_SET_ITEM(record, 2, PyLong_FromUnsignedLongLong(header->flags));
    PyTuple_SET_ITEM(record, 3, PyLong_FromUnsignedLongLong(header->captured_at));
    PyTuple_SET_ITEM(record, 4, Py_NewRef(payload));
    for (int index = 0; index < 4; index++) {
        if (PyTuple_GET_ITEM(record, index) == NULL) {
            Py_DECREF(record);
            return NULL;
        }
    }
    return record;
}

typedef struct {
    PyTypeObject *record_type;
    PyObject *checksum; /* NULL: records are trusted */
    Py_ssize_t end, max_records, max_bytes;
    /* what was found */
    PyObject *records, *voids;
    Py_ssize_t offset;
    unsigned long long last;
} Scan;

/* The payload of a record that is whole; NULL without an error set where it is not one. */
static PyObject *
valid_payload(const Scan *scan, const unsigned char *page, Header *header)
{
    Py_ssize_t start = scan->offset + HEADER_BYTES;
    if (!read_header(page + scan->offset, header) ||
        header->length > (uint64_t)(scan->end - start)) {
        return NULL;
    }
    PyObject *payload =
        PyBytes_FromStringAndSize((const char *)page + start, (Py_ssize_t)header->length);
    if (payload == NULL || scan->checksum == NULL) {
        return payload;
    }
    int64_t crc = crc_of(scan->checksum, payload);
    if ((crc == -1 && PyErr_Occurred()) || seal((uint64_t)crc, header) != header->crc) {
        Py_CLEAR(payload);
    }
    return payload;
}

static int
append_number(PyObject *list, unsigned long long number)
{
    PyObject *made = PyLong_FromUnsignedLongLong(number);
    int failed = made == NULL || PyList_Append(list, made) < 0;
    Py_XDECREF(made);
    return failed ? -1 : 0;
}

static int
scan_page(Scan *scan, const unsigned char *page)
{
    Header header;
    while (scan->offset + HEADER_BYTES <= scan->end &&
           PyList_GET_SIZE(scan->records) < scan->max_records) {
        PyObject *payload = valid_payload(scan, page, &header);
        if (payload == NULL) {
            if (PyErr_Occurred()) {
                return -1;
            }
            scan->offset = next_magic(page, scan->offset + ALIGN, scan->end);
            continue;
        }
        if (header.kind == VOID) {
            if (append_number(scan->voids, header.ordinal) < 0) {
                Py_DECREF(payload);
                return -1;
            }
        } else {
            if ((Py_ssize_t)header.length > scan->max_bytes && PyList_GET_SIZE(scan->records)) {
                Py_DECREF(payload);
                return 0;
            }
            scan->max_bytes -= (Py_ssize_t)header.length;
            PyObject *record = make_record(scan->record_type, &header, payload);
            if (record == NULL || PyList_Append(scan->records, record) < 0) {
                Py_XDECREF(record);
                Py_DECREF(payload);
                return -1;
            }
            Py_DECREF(record);
        }
        Py_DECREF(payload);
        scan->last = header.ordinal;
        scan->offset += (HEADER_BYTES + (Py_ssize_t)header.length + ALIGN - 1) & -ALIGN;
    }
    return 0;
}

PyDoc_STRVAR(scan_doc,
"scan(page, offset, end, max_records, max_bytes, record_type, checksum, /)\n--\n\n"
"Read records; *checksum* is None where they are trusted. See penstock.journal.record.scan.\n\n"
"Returns ``(records, offset, last ordinal, ordinals of voids)``.");

static PyObject *
native_scan(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer page;
    PyObject *checksum, *result = NULL;
    Scan scan = {0};
    if (!PyArg_ParseTuple(args, "y*nnnnO!O", &page, &scan.offset, &scan.end, &scan.max_records,
                          &scan.max_bytes, &PyType_Type, &scan.record_type, &checksum)) {
        return NULL;
    }
    Py_ssize_t end = scan.end;
    scan.end = Py_MIN(end, page.len); /* a file may have been cut */
    if (scan.offset < 0 || !PyType_IsSubtype(scan.record_type, &PyTuple_Type)) {
        PyErr_SetString(PyExc_ValueError, "scan: a wrong offset, or no tuples asked for");
    } else if ((scan.records = PyList_New(0)) != NULL &&
               (scan.voids = PyList_New(0)) != NULL) {
        scan.checksum = checksum == Py_None ? NULL : checksum;
        if (scan_page(&scan, page.buf) == 0) {
            Py_ssize_t offset = scan.offset + HEADER_BYTES <= scan.end ? scan.offset : end;
            result = Py_BuildValue("OnKO", scan.records, offset, scan.last, scan.voids);
        }
    }
    Py_XDECREF(scan.records);
    Py_XDECREF(scan.voids);
    PyBuffer_Release(&page);
    return result;
}

/* What a run is made of: records that go out as they are, one after the other. */
typedef struct {
    Scan scan;
    Py_ssize_t room, between, largest;
    long below, without;
    double oldest;
    /* what was found */
    Py_ssize_t count, payload_bytes;
} Run;

/* Whether the record at the scan's offset is one for a run; -1 with an error set. */
static int
is_next_of_run(const Run *run, const unsigned char *page, Header *header)
{
    const Scan *scan = &run->scan;
    if (!read_header(page + scan->offset, header) || header->kind == VOID ||
        header->kind >= (uint64_t)run->below || (header->flags & (uint64_t)run->without) ||
        (double)header->captured_at < run->oldest || header->ordinal != scan->last + 1 ||
        header->length > (uint64_t)run->largest ||
        header->length > (uint64_t)(scan->end - scan->offset - HEADER_BYTES)) {
        return 0;
    }
    if (scan->checksum == NULL) {
        return 1;
    }
    PyObject *payload = valid_payload(scan, page, header);
    Py_XDECREF(payload);
    return payload != NULL ? 1 : PyErr_Occurred() ? -1 : 0;
}

/* 1 when the run is as long as it gets, 0 when a record is in its way, -1 with an error set. */
static int
measure_run(Run *run, const unsigned char *page)
{
    Scan *scan = &run->scan;
    Header header;
    while (scan->offset + HEADER_BYTES <= scan->end && run->count < scan->max_records) {
        int is_next = is_next_of_run(run, page, &header);
        if (is_next <= 0) {
            return is_next;
        }
        Py_ssize_t length = (Py_ssize_t)header.length;
        if (length + run->between > run->room) {
            return 1;
        }
        run->count++;
        run->payload_bytes += length;
        run->room -= length + run->between;
        scan->last = header.ordinal;
        scan->offset += (HEADER_BYTES + length + ALIGN - 1) & -ALIGN;
    }
    return 1;
}

/*
 * Headers and body of a run that begins at *record*. False where they are not what was measured:
 * the file is anybody's to write to, and must not make us write beyond our own memory.
 */
static int
copy_run(const Run *run, const unsigned char *record, const char *between, char *heads, char *body)
{
    Header header;
    Py_ssize_t left = run->payload_bytes;
    for (Py_ssize_t index = 0; index < run->count; index++) {
        if (index > 0) {
            memcpy(body, between, run->between);
            body += run->between;
        }
        read_header(record, &header);
        Py_ssize_t length = (Py_ssize_t)header.length;
        left -= length;
        if (left < 0) {
            return 0;
        }
        memcpy(heads, record, HEADER_BYTES);
        memcpy(body, record + HEADER_BYTES, length);
        heads += HEADER_BYTES;
        body += length;
        record += (HEADER_BYTES + length + ALIGN - 1) & -ALIGN;
    }
    return left == 0;
}

/* What `run_of` returns of a run that was measured from *start* on. */
static PyObject *
make_run(const Run *run, const unsigned char *start, PyObject *between, Py_ssize_t offset)
{
    Py_ssize_t gaps = run->count > 1 ? (run->count - 1) * run->between : 0;
    PyObject *result = NULL;
    PyObject *heads = PyBytes_FromStringAndSize(NULL, run->count * HEADER_BYTES);
    PyObject *body = PyBytes_FromStringAndSize(NULL, run->payload_bytes + gaps);
    if (heads != NULL && body != NULL) {
        int is_whole = copy_run(run, start, PyBytes_AS_STRING(between), PyBytes_AS_STRING(heads),
                                PyBytes_AS_STRING(body));
        result = is_whole ? Py_BuildValue("nOOn", offset, body, heads, run->room)
                          : Py_NewRef(Py_None);
    }
    Py_XDECREF(heads);
    Py_XDECREF(body);
    return result;
}

PyDoc_STRVAR(run_of_doc,
"run_of(page, offset, end, last, checksum, records, room, between, largest, below, without, oldest,\n"
"       /)\n--\n\n"
"Read records that go out as they are; see penstock.journal.record.run_of.\n\n"
"Returns ``(offset, body, headers, room left)``, or None where another record is in the way.");

static PyObject *
run_of(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer page;
    PyObject *checksum, *between, *result = NULL;
    Run run = {0};
    Scan *scan = &run.scan;
    if (!PyArg_ParseTuple(args, "y*nnKOnnSnlld", &page, &scan->offset, &scan->end, &scan->last,
                          &checksum, &scan->max_records, &run.room, &between, &run.largest,
                          &run.below, &run.without, &run.oldest)) {
        return NULL;
    }
    Py_ssize_t start = scan->offset, end = scan->end;
    scan->end = Py_MIN(end, page.len); /* a file may have been cut */
    scan->checksum = checksum == Py_None ? NULL : checksum;
    run.between = PyBytes_GET_SIZE(between);
    int done = -1;
    if (start < 0 || run.largest < 0) {
        PyErr_SetString(PyExc_ValueError, "run_of: a wrong offset or size");
    } else {
        done = measure_run(&run, page.buf);
    }
    if (done == 0) {
        result = Py_NewRef(Py_None);
    } else if (done > 0) {
        Py_ssize_t offset = scan->offset + HEADER_BYTES <= scan->end ? scan->offset : end;
        result = make_run(&run, (const unsigned char *)page.buf + start, between, offset);
    }
    PyBuffer_Release(&page);
    return result;
}

/* ---- the module ---------------------------------------------------------------------------- */

static PyMethodDef functions[] = {
    {"wire_time", wire_time, METH_O, wire_time_doc},
    {"now", now, METH_NOARGS, now_doc},
    {"is_plain", (PyCFunction)(void (*)(void))is_plain, METH_FASTCALL, is_plain_doc},
    {"weigh", weigh, METH_VARARGS, weigh_doc},
    {"scan", native_scan, METH_VARARGS, scan_doc},
    {"run_of", run_of, METH_VARARGS, run_of_doc},
    {NULL, NULL, 0, NULL},
};

static int
add_types(PyObject *module)
{
    PyObject *pen = PyType_FromModuleAndSpec(module, &pen_spec, NULL);
    int failed = pen == NULL || PyModule_AddObjectRef(module, "Pen", pen) < 0;
    Py_XDECREF(pen);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_types},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "penstock._native",
    .m_doc = "The steps of capturing and reading that Python makes dear.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
