// What a person can do with a row, from a button or a key alike.
using System;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Asks the board, if the row allows it, and turns what goes wrong into a sentence instead of a dead window.
    /// </summary>
    internal sealed class RowActions
    {
        private readonly Func<IBoard> board;
        private readonly Action<string> failed;

        /// <param name="board">The board of now.</param>
        /// <param name="failed">Is told a sentence when an action throws.</param>
        internal RowActions(Func<IBoard> board, Action<string> failed)
        {
            this.board = board;
            this.failed = failed;
        }

        /// <summary>Raised after a row was accepted or rejected.</summary>
        internal event Action<Row> Decided;

        internal bool Accept(Row row)
        {
            return row != null && row.CanAccept && Decide(row, "accept", () => board().Accept(row));
        }

        internal bool Reject(Row row, string reason)
        {
            return row != null && row.CanReject && Decide(row, "reject", () => board().Reject(row, reason.Trim()));
        }

        internal bool Reroll(Row row)
        {
            return row != null && row.CanReroll && Try("re-roll " + row.Asset, () => board().Reroll(row));
        }

        internal bool Promote(Row row)
        {
            return row != null && row.CanPromote && Try("promote " + row.Asset, () => board().Promote(row));
        }

        internal bool Cancel(Row row)
        {
            return row != null && row.CanCancel && Try("cancel " + row.Asset, () => board().Cancel(row));
        }

        /// <summary>Runs an action; what it throws is told and logged, and the window lives on.</summary>
        internal bool Try(string what, Action action)
        {
            try
            {
                action();
                return true;
            }
            catch (Exception err)
            {
                UnityEngine.Debug.LogException(err);
                failed("Failed to " + what + ": " + err.Message);
                return false;
            }
        }

        private bool Decide(Row row, string what, Action action)
        {
            bool done = Try(what + " " + row.Asset, action);
            if (done && Decided != null)
            {
                Decided(row);
            }
            return done;
        }
    }
}
