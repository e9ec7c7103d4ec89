// What the window is shown with: the report of a real batch, with the middle of a working day written over some rows.
using System.IO;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>Boards for the pictures.</summary>
    internal static class Scenes
    {
        /// <summary>Rows of a report.</summary>
        /// <param name="finals">The project that a batch was made in, with report.json beside it.</param>
        internal static MockBoard Done(string finals)
        {
            var report = JsonUtility.FromJson<ReportJson>(File.ReadAllText(finals + ".json"));
            var board = new MockBoard { Version = 1 };
            foreach (ItemJson item in report.items)
            {
                var row = new Row
                {
                    Id = Row.IdOf(item.asset, item.locale), Asset = item.asset, Locale = item.locale, Path = "Assets/"
                        + item.path,
                    State = RowState.Done, FinalFile = Path.Combine(finals, item.path),
                };
                row.Take(item);
                row.Template = "offer";
                row.TemplateVersion = 1;
                row.Expected = row.Read = string.Empty;
                board.List.Add(row);
            }
            return board;
        }

        /// <summary>Drafts to judge, finals on their way, and some of everything that goes wrong.</summary>
        internal static MockBoard WorkingDay(string finals, string drafts)
        {
            MockBoard board = Done(finals);
            board.Busy = "Regenerating: 34 of 61";
            foreach (Row row in board.List)
            {
                if (row.Asset == "gem_chest" || row.Asset == "healing_potion")
                {
                    Accept(row, "Mira Kowalczyk, 2026-11-20");
                }
            }
            Accept(At(board, "dragon_siege", "ar"), "Mira Kowalczyk, 2026-11-20");
            Accept(At(board, "dragon_siege", "en"), "Mira Kowalczyk, 2026-11-20");
            Draft(At(board, "dragon_siege", "de"), drafts);
            Draft(At(board, "dragon_siege", "ja"), drafts);
            Draft(At(board, "dragon_siege", "zh-Hans"), drafts);
            Hosted(At(board, "dragon_siege", "en"), 40000, 6240);
            Hosted(At(board, "dragon_siege", "ar"), 40000, 5870);
            Move(At(board, "dragon_siege", "fr"), RowState.Running, 0.62f, string.Empty);
            Move(At(board, "dragon_siege", "he"), RowState.Verifying, -1, string.Empty);
            Move(At(board, "dragon_siege", "hi"), RowState.Queued, -1, string.Empty);
            Move(At(board, "dragon_siege", "ko"), RowState.Waiting, -1, "Rate limit of the provider; goes on in 42 s");
            Move(At(board, "dragon_siege", "th"), RowState.Failed, -1,
                "The provider refused the prompt (violence). Change the subject, or choose another model; it is not asked again.");
            Move(At(board, "dragon_siege", "tr"), RowState.Ambiguous, -1,
                "The connection dropped after the request was sent. Whether it was drawn and billed is unknown; nothing is asked again "
                + "until you decide.");
            At(board, "dragon_siege", "tr").CostMicrosUsd = -1;
            Row kept = At(board, "frost_crown", "ar");
            Move(kept, RowState.Kept, -1, "The file was edited by hand and is kept; Force replaces it.");
            Misread(At(board, "dragon_siege", "ja"));
            return board;
        }

        internal static Row At(MockBoard board, string asset, string locale)
        {
            return board.List.Find(row => row.Asset == asset && row.Locale == locale);
        }

        private static void Accept(Row row, string by)
        {
            row.Approval = "accepted";
            row.ApprovedBy = by;
        }

        private static void Draft(Row row, string drafts)
        {
            row.State = RowState.Draft;
            row.Tier = "preview";
            row.DraftFile = Path.Combine(drafts, row.Path.Substring("Assets/".Length));
            row.PlaceholderFor = "sd3.5-large-turbo";
            row.Seed = 1934411207;
        }

        private static void Hosted(Row row, long micros, long ms)
        {
            row.Model = "gpt-image-2";
            row.Engine = "openai";
            row.PlaceholderFor = string.Empty;
            row.CostMicrosUsd = micros;
            row.LatencyMs = ms;
        }

        private static void Move(Row row, RowState state, float progress, string message)
        {
            row.State = state;
            row.Progress = progress;
            row.Message = message;
        }

        private static void Misread(Row row)
        {
            row.Expected = "ドラゴン攻城戦 ドラゴン＋500ゴールド 期間限定 ¥1,600";
            row.Read = "ドラゴン攻城戦 ドラゴン＋500ゴルド 期間限定 ¥1,600";
            row.TextScore = 0.96f;
            row.Findings.Add(new Finding
            {
                Code = "rendered_text_mismatch", Severity = "error",
                Message = "subtitle: expected “ドラゴン＋500ゴールド”, read “ドラゴン＋500ゴルド”",
            });
            row.Findings.Add(new Finding
            {
                Code = "small_text", Severity = "warning",
                Message = "badge: letters are 15 pixels high; below 16 they blur at shop size",
            });
        }
    }
}
