"""Videos as phones, editors and bad copies leave them: times, orientation, damage, and what is no video at all."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motorque.errors import DataError, FileFormatError
from motorque.journal import Journal
from motorque.vision.frame_choice import FrameChoice
from motorque.vision.video import Video
from motorque.vision.video_metadata import FULL_FRAME_DIAGONAL
from small_videos import background, number_of, numbered, write_video


def opened(path: Path) -> tuple[Video, Journal]:
    journal = Journal()
    return Video(path, journal=journal), journal


def said(journal: Journal) -> str:
    return " | ".join(f"{notice.kind}: {notice.text}" for notice in journal.notices)


def numbers(video: Video, **options: float) -> list[int]:
    return [number_of(frame.picture) for frame in video.frames(**options)]


def test_frames_come_in_order_with_their_times(tmp_path: Path) -> None:
    video, journal = opened(write_video(tmp_path / "v.mp4", numbered(60)))

    frames = list(video.frames())

    np.testing.assert_allclose([frame.time for frame in frames], np.arange(60) / 30, atol=1e-4)
    assert video.size == (64, 48) and frames[0].picture.shape == (48, 64, 3) and frames[0].picture.dtype == np.uint8
    assert numbers(video) == list(range(60))
    assert video.rate == pytest.approx(30, rel=1e-3) and video.duration == pytest.approx(2, abs=0.01)
    assert journal.notices == []
    assert video.focal_length is None


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "libx264"), ("webm", "libvpx-vp9"), ("avi", "mjpeg"), ("mkv", "libx265"), ("ts", "libx264")],
)
def test_codecs_and_containers(tmp_path: Path, suffix: str, codec: str) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    video, _ = opened(write_video(tmp_path / f"v.{suffix}", numbered(30), codec=codec, pixels=pixels))

    frames = list(video.frames())

    np.testing.assert_allclose([frame.time for frame in frames], np.arange(30) / 30, atol=2e-3)
    assert numbers(video) == list(range(30))


def test_start_end_and_rate(tmp_path: Path) -> None:
    video, _ = opened(write_video(tmp_path / "v.mp4", numbered(180), fps=60, options={"g": "20"}))

    assert numbers(video, start=1.5, end=1.7) == list(range(90, 103))
    thinned = list(video.frames(fps=30))
    np.testing.assert_allclose([f.time for f in thinned], np.arange(0, 180, 2) / 60, atol=1e-4)
    assert numbers(video, fps=25)[:60] == list(range(0, 180, 3))  # every second would be more than asked for
    assert len(list(video.frames(fps=60))) == len(list(video.frames(fps=1000))) == 180
    np.testing.assert_allclose([f.time for f in video.frames(start=1.25, fps=20)][:3], [1.25, 1.3, 1.35], atol=1e-3)


@pytest.mark.parametrize(
    ("rate", "fps", "interval"), [(30.01, 30, 0), (59.94, 30, 2 / 59.94), (50, 30, 0.04), (240, 30, 1 / 30)]
)
def test_every_nth_frame(rate: float, fps: float, interval: float) -> None:
    assert FrameChoice.of_rate(rate, fps).interval == pytest.approx(interval)


def test_variable_frame_rate_is_thinned_by_time(tmp_path: Path) -> None:
    """Frames at 60 Hz, then at 20 Hz: a grid of 30 Hz takes every second one, then all."""
    times = [*np.arange(60) / 60, *(1 + np.arange(20) / 20)]
    video, journal = opened(write_video(tmp_path / "v.mp4", numbered(80), fps=60, times=times))

    chosen = [frame.time for frame in video.frames(fps=30)]

    np.testing.assert_allclose(chosen, [*np.arange(0, 60, 2) / 60, *(1 + np.arange(20) / 20)], atol=1e-3)
    assert "info: the frame rate varies, from 20.0 to 60." in said(journal)


@pytest.mark.parametrize("turn", [90, -90, 180])
@pytest.mark.parametrize("mirror", [False, True])
def test_pictures_are_shown_as_the_container_asks(tmp_path: Path, turn: int, mirror: bool) -> None:
    stored = np.full((48, 64, 3), 60, dtype=np.uint8)
    stored[:16, :20] = (250, 40, 40)
    stored[-16:, :20] = (40, 40, 250)
    expected = np.rot90(stored, turn // 90)
    expected = expected[:, ::-1] if mirror else expected
    path = write_video(tmp_path / "v.mp4", [stored] * 4, turn=turn, mirror=mirror)

    video, journal = opened(path)
    frame = next(iter(video.frames()))

    assert video.size == ((48, 64) if abs(turn) == 90 else (64, 48))
    assert np.abs(frame.picture.astype(int) - expected).mean() < 6
    assert ("left and right may be exchanged" in said(journal)) == mirror
    assert [notice.kind for notice in journal.notices] == ["warning"] * mirror


def test_wide_pixels_and_large_pictures(tmp_path: Path) -> None:
    video, _ = opened(write_video(tmp_path / "v.mp4", numbered(4), aspect=Fraction(4, 3)))
    assert video.size == (85, 48)
    assert next(iter(video.frames())).picture.shape == (48, 85, 3)
    assert next(iter(video.frames(long_side=40))).picture.shape == (23, 40, 3)


def test_a_focal_length_and_a_capture_rate_in_the_container(tmp_path: Path) -> None:
    tags = {"com.apple.quicktime.camera.focal_length.35mm_equivalent": "26", "com.android.capture.fps": "240.0"}
    options = {"movflags": "use_metadata_tags"}
    video, journal = opened(write_video(tmp_path / "v.mp4", numbered(60), tags=tags, container=options))

    assert video.focal_length == pytest.approx(26 / FULL_FRAME_DIAGONAL * np.hypot(64, 48))
    assert "assumption: slow motion: taken at 240 frames a second, played at 30; times are divided by 8" in said(
        journal
    )
    np.testing.assert_allclose([frame.time for frame in video.frames()], np.arange(60) / 240, atol=1e-4)
    assert len(list(video.frames(fps=30))) == 8
    assert len(list(video.frames(start=0.099, end=0.151))) == 13

    tags["com.android.capture.fps"] = "60"
    _, journal = opened(write_video(tmp_path / "w.mp4", numbered(60), tags=tags, container=options))
    assert "warning: the file says that 60 frames a second were taken and plays 30" in said(journal)


def test_a_file_without_time_stamps(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.h264", numbered(30), codec="libx264", fps=25)
    video, journal = opened(path)
    assert "assumption: the file has no usable time stamps" in said(journal)
    times = [frame.time for frame in video.frames()]
    assert len(times) == 30 and np.allclose(np.diff(times), 1 / 25)


def test_time_stamps_that_repeat(tmp_path: Path) -> None:
    """A container of packets in which every fifth has the time of the one before."""
    path, source = tmp_path / "v.mkv", write_video(tmp_path / "s.mkv", numbered(40), codec="mjpeg", pixels="yuvj420p")
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for k, packet in enumerate(p for p in given.demux(video=0) if p.size):
            packet.pts = packet.dts = round((k - (k % 5 == 4)) * 1000 / 30)
            packet.stream = stream
            made.mux(packet)
    video, journal = opened(path)
    times = [frame.time for frame in video.frames()]
    assert len(times) == 32 and (np.diff(times) > 0.02).all()
    assert "warning: 8 of 40 frames have no time stamp of their own" in said(journal)
    assert "repair: 8 frames with a time stamp that is missing or was there before were left out" in said(journal)


def test_a_gap_is_said(tmp_path: Path) -> None:
    times = [*np.arange(30) / 30, *(2 + np.arange(30) / 30)]
    _, journal = opened(write_video(tmp_path / "v.mp4", numbered(60), times=times))
    assert "warning: no frame for 1.03 s after 0.97 s" in said(journal)


def noisy(count: int) -> list[np.ndarray]:
    scene = background((96, 128))
    return [np.roll(scene, 3 * k, axis=1) for k in range(count)]


def test_a_file_that_breaks_off_gives_what_is_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", noisy(90), container={"movflags": "faststart"}, options={"g": "10"})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(0.5 * len(whole))])

    video, journal = opened(path)
    times = [frame.time for frame in video.frames()]

    assert 0.8 < times[-1] < 2.2 and len(times) > 25
    assert "warning: the file breaks off at" in said(journal)


def test_damage_in_the_middle_is_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", noisy(90), codec="libx264", options={"g": "10"})
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(1)
    middle = slice(int(0.5 * len(content)), int(0.6 * len(content)))
    content[middle] = random.bytes(middle.stop - middle.start)
    path.write_bytes(bytes(content))

    video, journal = opened(path)
    times = [frame.time for frame in video.frames()]

    assert 60 < len(times) < 90 and times[-1] > 2.9
    assert f"warning: {90 - len(times)} of 90 frames are damaged" in said(journal)


def test_damage_is_said_of_what_was_wanted_only(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", noisy(120), codec="libx264", options={"g": "10"})
    content = bytearray(path.read_bytes())
    middle = slice(int(0.3 * len(content)), int(0.4 * len(content)))
    content[middle] = np.random.default_rng(1).bytes(middle.stop - middle.start)
    path.write_bytes(bytes(content))
    for times, damaged in (({"end": 0.5}, False), ({"start": 2.5}, False), ({"start": 0.5, "end": 2.0}, True)):
        video, journal = opened(path)
        assert list(video.frames(**times))
        assert ("frames are damaged" in said(journal)) == damaged, times


def test_a_leap_to_where_frames_build_on_what_is_before_is_no_damage(tmp_path: Path) -> None:
    options = {"g": "30", "bf": "3", "x264-params": "open-gop=1:b-adapt=0:scenecut=0", "keyint_min": "30"}
    path = write_video(tmp_path / "v.mp4", numbered(150), codec="libx264", options=options)
    video, journal = opened(path)
    assert numbers(video, start=2.5, end=3.5) == list(range(75, 106))
    assert journal.notices == []


def write_sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    return path


def write_picture(path: Path) -> Path:
    with av.open(str(path), "w", format="image2") as file:
        stream = file.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(1)[0], format="rgb24")))
        file.mux(stream.encode())
    return path


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("a letter to somebody " * 50)
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/v.ts\n")
    whole = write_video(tmp_path / "v.mp4", numbered(30)).read_bytes()
    (tmp_path / "head.mp4").write_bytes(whole[: len(whole) // 2])
    write_video(tmp_path / "one.mp4", numbered(1))
    write_sound(tmp_path / "sound.wav")
    write_picture(tmp_path / "picture.jpg")
    cases = {
        "": "is a folder; give the name of a video file",
        "missing.mp4": "there is no such file",
        "empty.mp4": "is empty",
        "text.mp4": "cannot be read as a video",
        "list.mp4": "cannot be read as a video",
        "head.mp4": "cannot be read as a video",
        "one.mp4": "has one frame only",
        "sound.wav": "holds sound only",
        "picture.jpg": "is a picture",
    }
    for name, wrong in cases.items():
        with pytest.raises(FileFormatError) as caught:
            opened(tmp_path / name)
        assert wrong in str(caught.value) and "\n" not in str(caught.value), name
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(("high", "wide"), [(240, 2), (2, 240), (24, 1280), (16, 24)])
def test_pictures_too_narrow_for_a_person_are_refused(tmp_path: Path, high: int, wide: int) -> None:
    """A detector would look for minutes in such a picture, square by square."""
    path = write_video(tmp_path / "line.mp4", [np.zeros((high, wide, 3), dtype=np.uint8)] * 3)
    with pytest.raises(FileFormatError, match=f"pictures of {wide} by {high} pixels are too small or too narrow"):
        opened(path)


def test_a_sound_file_with_a_cover_is_no_video(tmp_path: Path) -> None:
    cover = write_picture(tmp_path / "cover.jpg")
    with av.open(str(tmp_path / "song.mp4"), "w", format="mp4") as file, av.open(str(cover)) as picture:
        sound = file.add_stream("aac", rate=44100)
        art = file.add_stream_from_template(picture.streams.video[0])
        art.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4410), dtype=np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        file.mux(sound.encode(frame))
        for packet in picture.demux(video=0):
            if packet.size:
                packet.stream = art
                file.mux(packet)
        file.mux(sound.encode())
    with pytest.raises(FileFormatError, match="holds sound only"):
        opened(tmp_path / "song.mp4")


def test_times_beyond_the_end(tmp_path: Path) -> None:
    video, _ = opened(write_video(tmp_path / "v.mp4", numbered(30)))
    with pytest.raises(DataError, match="no frame lies between 5 and 9 s; the video lasts 1.00 s"):
        list(video.frames(start=5, end=9))


def test_high_dynamic_range_keeps_its_middle_tones(tmp_path: Path) -> None:
    """A grey of a quarter of the reference white, in PQ and HLG, comes out as a middle grey, not as nearly black."""
    from motorque.vision.picture import HLG, PQ, tone_curve

    for transfer in (PQ, HLG):
        curve = tone_curve(transfer).astype(int)
        assert (np.diff(curve) >= 0).all() and curve[0] == 0 and curve[-1] == 255
    # SMPTE ST 2084 puts 203 cd/m² at 58.06 % of the signal, BT.2100's HLG at 75 % (BT.2408-7, table 1).
    white = [tone_curve(PQ)[round(0.5806 * 65535)], tone_curve(HLG)[round(0.75 * 65535)]]
    assert abs(int(white[0]) - int(white[1])) <= 2 and 180 < white[0] < 200


def test_ten_bit_pq_video(tmp_path: Path) -> None:
    path = tmp_path / "hdr.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx265", rate=30, options={"x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        stream.codec_context.color_trc, stream.codec_context.colorspace = 16, 9
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), round(0.5806 * 65535), np.uint16), format="rgb48le")
            frame.color_trc = 16
            file.mux(stream.encode(frame.reformat(format="yuv420p10le")))
        file.mux(stream.encode())
    video, _ = opened(path)
    picture = next(iter(video.frames())).picture
    assert picture.dtype == np.uint8 and 170 < picture.mean() < 205


def test_stills_are_near_the_time_asked_for(tmp_path: Path) -> None:
    video, _ = opened(write_video(tmp_path / "v.mp4", numbered(90), options={"g": "15"}))
    for time in (0.0, 1.2, 2.9):
        still = video.still(time)
        assert still is not None and -1e-6 <= time - still.time <= 0.5 + 1e-3
        assert number_of(still.picture) == round(30 * still.time)
